/* Waking a reader, link or journal: an eventfd, rung only when that process said that it sleeps, and once for each
 * sleep. Runs in the server, its snapshot child (ringing) and the reader (clearing); shm/layout.h has the algorithm,
 * and why no wake-up is lost. */
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

static inline bool doorbell_is_sleep(uint64_t sleeps)
{
    return sleeps & 1;
}

/* A reader as who rings for it knows it. */
struct doorbell {
    int fd;
    uint64_t rung; /* the last sleep that this process has rung for */
};

/* After the news is stored, and after doorbell_fence(). */
static inline void doorbell_wake(const struct shm_reader *reader, struct doorbell *bell)
{
    uint64_t sleeps = atomic_load_explicit(&reader->sleeps, memory_order_relaxed);
    if (!doorbell_is_sleep(sleeps) || sleeps == bell->rung) return;
    doorbell_ring(bell->fd);
    bell->rung = sleeps;
}

/* Between the news and the look at who sleeps. */
static inline void doorbell_fence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

#endif
