/* A master that has come back with less than a replica of it has. Server process of the master; pure: names, offsets and
 * times go in.
 *
 * A master that is killed comes back from its file, and its replicas, which were ahead of that, would lose the rest by a
 * full synchronisation within milliseconds: what clients were acknowledged would be gone everywhere. So a replica that
 * asks for what lies beyond the file's end is held back for a moment, and INFO says how far it is ahead. Sentinels of
 * ours promote it then; where there are none, or they do not, it gets its full synchronisation as ever. The same goes
 * for a master that comes back with nothing at all.
 *
 * Redis's replicas take the refusal (NOMASTERLINK) as ours do: they ask again each second. */
#ifndef SLIPSTREAM_REPL_COMEBACK_H
#define SLIPSTREAM_REPL_COMEBACK_H

#include "repl/history.h"

#define COMEBACK_WATCHED_PATIENCE_MS 15000 /* they are there: until they had time for a fail-over, and once more */

struct comeback {
    bool open;                /* we have just come back, as a master */
    char id[HISTORY_ID_TEXT]; /* the history that our dataset is of; "": there is no dataset */
    uint64_t offset;          /* as of that byte of it */
    int64_t since_ms;
    int64_t wait_ms;      /* until Sentinels, which may start at the same time, have connected */
    uint64_t ahead_bytes; /* so much more has the replica that has most; 0: none has shown */
};

/* The dataset is there, and we are a master: of history `id` as of `offset`, or (id "") of nothing. wait_ms 0: nobody is
 * held back. now_ms: monotonic. */
void comeback_begin(struct comeback *c, const char *id, uint64_t offset, int64_t wait_ms, int64_t now_ms);
/* Whether a replica that asks for that is not to be given a full synchronisation yet. `watched`: Sentinels are
 * connected. asked_id NULL or "?": it has nothing, and nothing to lose. Nor is it told from a new server where it has heard
 * nothing of a stream yet, not so much as a PING. */
bool comeback_holds_back(struct comeback *c, const char *asked_id, int64_t asked_offset, bool watched, int64_t now_ms);
/* What INFO says; 0: nobody is held back (any more). */
uint64_t comeback_ahead_bytes(const struct comeback *c, bool watched, int64_t now_ms);
void comeback_end(struct comeback *c); /* we are no master any more */

#endif
