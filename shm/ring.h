/* One ring of the backlog, the writer's side: offset o stands at o modulo size.
 *
 * Memory is reserved a piece ahead of the first lap, not all at once: a ring that grew to serve a laggard costs only
 * what is written to it, and no write waits for the zeroing of many megabytes. */
#ifndef SLIPSTREAM_SHM_RING_H
#define SLIPSTREAM_SHM_RING_H

#include "shm/region.h"

struct ring {
    struct region region;
    uint64_t number;         /* 1, 2, 3 ...: never reused */
    uint64_t named_after;    /* the number in its object's name: ring_reuse() leaves that alone */
    unsigned entry;          /* its place in the control region's table */
    uint64_t size;           /* in bytes */
    uint64_t first;          /* first offset written to it */
    uint64_t end;            /* offset behind the last byte; UINT64_MAX while it is the newest */
    uint64_t reserved_until; /* first lap: offsets below it have memory; UINT64_MAX: all of the ring has */
};

/* A named one is called <backlog_name>.<number>. 0 or -1 with errno. */
int ring_create(struct ring *ring, enum region_kind kind, const char *backlog_name, uint64_t number, uint64_t size,
                uint64_t first);
void ring_close(struct ring *ring, const char *backlog_name);
/* Makes the ring, memory and all, hold the stream from `first` on instead of what it held. */
void ring_reuse(struct ring *ring, uint64_t number, uint64_t first);

/* Memory for every offset below `until`; 0 or -1 with errno, then reserved_until says how far it came. */
int ring_reserve(struct ring *ring, uint64_t until);
uint64_t ring_memory(const struct ring *ring); /* bytes reserved: they count as used memory of this process */

/* Oldest offset that is still in the ring when the stream has come to `stream_end`. */
uint64_t ring_oldest(const struct ring *ring, uint64_t stream_end);

#endif
