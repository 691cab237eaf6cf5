/* A master that has come back with less than a replica of it has. Server process of the master; pure: offsets and times
 * go in.
 *
 * A master that is killed comes back from its file, and its replicas, which were ahead of that, would lose the rest by
 * a full synchronisation within milliseconds: what clients were acknowledged would be gone everywhere. So a replica
 * that asks for what lies beyond the file's end is held back for a moment, and INFO says how far it is ahead. Sentinels
 * of ours promote it then; where there are none, or they do not, it gets its full synchronisation as ever. The same
 * goes for a master that comes back with nothing at all.
 *
 * Redis's replicas take the refusal (NOMASTERLINK) as ours do: they ask again each second. */
#ifndef SLIPSTREAM_REPL_COMEBACK_H
#define SLIPSTREAM_REPL_COMEBACK_H

#include "repl/history.h"

#define COMEBACK_WATCHED_PATIENCE_MS 15000 /* they are there: until they had time for a fail-over, and once more */

/* All zero: nobody is held back. */
struct comeback {
    bool from_nothing; /* else from a file, whose history is the second one now */
    int64_t since_ms;
    int64_t wait_ms; /* until Sentinels, which may start at the same time, have connected; 0: we have not come back */
    uint64_t ahead_bytes; /* so much more has the replica that has most; 0: none has shown */
};

/* The dataset is there, and we are a master. wait_ms 0: nobody is held back. now_ms: monotonic. */
void comeback_begin(struct comeback *c, bool from_nothing, int64_t wait_ms, int64_t now_ms);
/* Whether a replica that asked for asked_offset, and is not to continue for this reason, gets no full synchronisation
 * yet. `watched`: Sentinels are connected. Who names no history has nothing to lose. Nor is one told from a new server
 * that has heard nothing of a stream yet, not so much as a PING. */
bool comeback_holds_back(struct comeback *c, const struct history *h, enum resync_reason reason, int64_t asked_offset,
                         bool watched, int64_t now_ms);
/* Who is to be held back is told by our second id: it has to stay. */
bool comeback_needs_second_id(const struct comeback *c, bool watched, int64_t now_ms);
/* What INFO says; 0: nobody is held back (any more). */
uint64_t comeback_ahead_bytes(const struct comeback *c, bool watched, int64_t now_ms);
void comeback_end(struct comeback *c); /* we are no master any more */

#endif
