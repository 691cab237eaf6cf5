/* Waking the link: an eventfd, rung only when the link said that it sleeps.
 *
 * The link stores in link_asleep the number of this sleep, then looks once more for work; the writer stores the work,
 * then looks at link_asleep. With a full fence between the two steps on both sides at least one of them sees the other,
 * so no wake-up is lost. Who rings takes the number back only afterwards, so that other publishes need not ring; a
 * snapshot child that is killed in between leaves a bell that has rung, never one that nobody will ring. By then the
 * link may sleep again, under another number, which the compare-and-swap leaves alone. */
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
    uint32_t sleep = atomic_load_explicit(&control->link_asleep, memory_order_relaxed);
    if (!sleep) return;
    doorbell_ring(bell);
    atomic_compare_exchange_strong(&control->link_asleep, &sleep, 0);
}

#endif
