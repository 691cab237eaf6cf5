/* What a dead server left of its stream, found by the next one of its port and directory: looked at, and gone on with.
 *
 * Server process, at its start. The region is anybody's: nothing in it is trusted, and what does not fit together is
 * refused. It stays as it is, under its name, until backlog_adopt() is done:
 * a death before leaves it to the next start. */
#ifndef SLIPSTREAM_SHM_ADOPT_H
#define SLIPSTREAM_SHM_ADOPT_H

#include "server/base/bytes.h"
#include "shm/backlog.h"

#define ADOPT_REASON_BYTES 256
#define ADOPT_TRIES_MOST   3

struct adoption;

/* Its bytes are those of [first, end), as PSYNC counts. */
struct adopt_view {
    char id[SHM_ID_BYTES], second_id[SHM_ID_BYTES];
    int64_t second_offset;
    uint64_t first, end;
    uint64_t empty_at; /* the last offset at which the dataset was empty; SHM_NEVER: not known */
    bool relayed;      /* it was our master's stream, and not our own */
    int pid;           /* of who wrote it, as its own namespace counts */
};

/* NULL: there is nothing of that name without a living owner, and reason is ""; or it is refused, and reason says why.
 * It is this process's now (shm/owner.h). */
struct adoption *adopt_find(const char *name, char reason[ADOPT_REASON_BYTES]);
const struct adopt_view *adopt_view(const struct adoption *a);
/* Bytes from `offset` on that lie together; at the end of the window, and outside of it, none. */
struct bytes adopt_run(const struct adoption *a, uint64_t offset);
/* Before any of it is applied. False: so many have tried, and died of it; it is to be dropped. */
bool adopt_try(struct adoption *a);
void adopt_drop(struct adoption *a); /* the region goes */

/* The stream goes on behind `end`, in a ring and a control region of its own, which takes the old one's name: a link or
 * a journal that outlives its server reads on what that had published, and nothing else, and what it writes of itself
 * nobody takes for another's. Nobody is waited for. The window stays; peers and spools go.
 * NULL with errno: as backlog_open(), and the adoption is as before. Else it is used up. */
struct backlog *backlog_adopt(struct adoption *a, const struct backlog_limits *limits,
                              const struct backlog_events *events);

#endif
