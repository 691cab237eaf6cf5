/* Waking the link: an eventfd, rung only when the link said that it sleeps.
 *
 * The link stores link_asleep, then looks once more for work; the writer stores the work, then looks at link_asleep.
 * With a full fence between the two steps on both sides at least one of them sees the other, so no wake-up is lost; the
 * exchange lets one publish ring once, however many publishers there are (server and snapshot child). */
#ifndef SLIPSTREAM_SHM_DOORBELL_H
#define SLIPSTREAM_SHM_DOORBELL_H

#include "shm/layout.h"

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

static inline void doorbell_wake(struct shm_control *control, int bell)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&control->link_asleep, memory_order_relaxed) &&
        atomic_exchange_explicit(&control->link_asleep, 0, memory_order_seq_cst))
        doorbell_ring(bell);
}

#endif
