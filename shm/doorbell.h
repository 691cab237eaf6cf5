/* Waking the link: an eventfd, rung only when the link said that it sleeps, and once for each sleep. Runs in the
 * server, its snapshot child (ringing) and the link (clearing); shm/layout.h has the algorithm, and why no wake-up is
 * lost. */
#ifndef SLIPSTREAM_SHM_DOORBELL_H
#define SLIPSTREAM_SHM_DOORBELL_H

#include "shm/layout.h"

#include <stdbool.h>
#include <sys/eventfd.h>

static inline void doorbell_ring(int bell)
{
    (void)eventfd_write(bell, 1); /* fails only when the count is full: then it is readable anyway */
}

static inline void doorbell_clear(int bell)
{
    eventfd_t count;
    (void)eventfd_read(bell, &count);
}

static inline bool doorbell_is_sleep(uint64_t link_sleeps)
{
    return link_sleeps & 1;
}

/* After the news is stored. `rung` is the caller's own: the last sleep that it has rung for. */
static inline void doorbell_wake(const struct shm_control *control, int bell, uint64_t *rung)
{
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t sleeps = atomic_load_explicit(&control->link_sleeps, memory_order_relaxed);
    if (!doorbell_is_sleep(sleeps) || sleeps == *rung) return;
    doorbell_ring(bell);
    *rung = sleeps;
}

#endif
