/* A bounded queue of pointers between two threads: one puts in, one takes out, and no lock is between them.
 *
 * Each side keeps what it last saw of the other's position, and looks again only where that says full or empty: so the
 * line that holds a position changes hands once a batch. A thread that is about to sleep says so and then looks whether
 * something has come; who puts in looks behind that whether the other sleeps. Both looks and both words are
 * sequentially consistent: one of the two sees the other. */
#ifndef SLIPSTREAM_NET_POOL_SPSC_H
#define SLIPSTREAM_NET_POOL_SPSC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/prefetch.h"

#define SPSC_CAPACITY 4096 /* a power of two */

struct spsc {
    _Atomic uint32_t head; /* the next to be taken; who takes writes it */
    uint32_t tail_seen;
    char line_1[CACHE_LINE_BYTES];
    _Atomic uint32_t tail; /* behind the last; who puts in writes it */
    uint32_t head_seen;
    char line_2[CACHE_LINE_BYTES];
    _Atomic bool sleeps; /* who takes waits for a word */
    char line_3[CACHE_LINE_BYTES];
    void *slots[SPSC_CAPACITY];
};

/* --- who puts in --- */

static inline bool spsc_push(struct spsc *q, void *item) /* false: full */
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    if (__builtin_expect(tail - q->head_seen == SPSC_CAPACITY, 0)) {
        q->head_seen = atomic_load_explicit(&q->head, memory_order_acquire);
        if (tail - q->head_seen == SPSC_CAPACITY) return false;
    }
    q->slots[tail % SPSC_CAPACITY] = item;
    atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
    return true;
}

/* After some of spsc_push(): whether the other side has to be woken, which is this side's to do from here on. */
static inline bool spsc_must_wake(struct spsc *q)
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    atomic_store_explicit(&q->tail, tail, memory_order_seq_cst);
    if (!atomic_load_explicit(&q->sleeps, memory_order_seq_cst)) return false;
    return atomic_exchange_explicit(&q->sleeps, false, memory_order_seq_cst);
}

/* --- who takes out --- */

/* How many have come, as far as this side knows: it looks again where it knows of fewer than so many. */
static inline uint32_t spsc_ready(struct spsc *q, uint32_t wanted)
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    if (q->tail_seen - head < wanted) q->tail_seen = atomic_load_explicit(&q->tail, memory_order_acquire);
    return q->tail_seen - head;
}

/* The item `ahead` places behind the first, of so many as spsc_ready() has counted. */
static inline void *spsc_at(const struct spsc *q, uint32_t ahead)
{
    return q->slots[(atomic_load_explicit(&q->head, memory_order_relaxed) + ahead) % SPSC_CAPACITY];
}

static inline void *spsc_peek(struct spsc *q) /* NULL: none has come yet */
{
    return spsc_ready(q, 1) > 0 ? spsc_at(q, 0) : NULL;
}

static inline void spsc_pop(struct spsc *q) /* of what spsc_peek() has shown */
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    atomic_store_explicit(&q->head, head + 1, memory_order_release);
}

/* True: it is empty, and from now on this side will be woken. */
static inline bool spsc_may_sleep(struct spsc *q)
{
    atomic_store_explicit(&q->sleeps, true, memory_order_seq_cst);
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_seq_cst);
    if (tail == atomic_load_explicit(&q->head, memory_order_relaxed)) return true;
    atomic_store_explicit(&q->sleeps, false, memory_order_relaxed);
    return false;
}

static inline void spsc_is_awake(struct spsc *q)
{
    if (atomic_load_explicit(&q->sleeps, memory_order_relaxed))
        atomic_store_explicit(&q->sleeps, false, memory_order_relaxed);
}

#endif
