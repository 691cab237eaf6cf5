/* Spool slots, the writer's side: how much of a snapshot the link may read. Runs in the server and in its snapshot
 * child. */
#include "shm/writer.h"

#include "server/base/check.h"

static struct shm_spool *slot_of(const struct backlog *b, int spool)
{
    CHECK(spool >= 0 && spool < BACKLOG_SPOOLS_MAX);
    return &b->control->spools[spool];
}

static void wake_link(struct backlog *b)
{
    doorbell_fence();
    doorbell_wake(&b->control->readers[SHM_LINK], &b->bells[SHM_LINK]);
}

int backlog_spool_claim(struct backlog *b)
{
    for (int spool = 0; spool < BACKLOG_SPOOLS_MAX; spool++) {
        struct shm_spool *s = &b->control->spools[spool];
        if (atomic_load_explicit(&s->state, memory_order_relaxed) != SPOOL_FREE) continue;
        atomic_store_explicit(&s->bytes, 0, memory_order_relaxed);
        atomic_store_explicit(&s->state, SPOOL_GROWING, memory_order_release);
        return spool;
    }
    return -1;
}

int backlog_spools_free(const struct backlog *b)
{
    int count = 0;
    for (int spool = 0; spool < BACKLOG_SPOOLS_MAX; spool++)
        count += atomic_load_explicit(&b->control->spools[spool].state, memory_order_relaxed) == SPOOL_FREE;
    return count;
}

void backlog_spool_advance(struct backlog *b, int spool, uint64_t bytes)
{
    atomic_store_explicit(&slot_of(b, spool)->bytes, bytes, memory_order_release);
    wake_link(b);
}

void backlog_spool_finish(struct backlog *b, int spool, bool good)
{
    atomic_store_explicit(&slot_of(b, spool)->state, good ? SPOOL_COMPLETE : SPOOL_FAILED, memory_order_release);
    wake_link(b);
}

void backlog_spool_free(struct backlog *b, int spool)
{
    atomic_store_explicit(&slot_of(b, spool)->state, SPOOL_FREE, memory_order_release);
}

uint64_t backlog_spool_bytes(const struct backlog *b, int spool)
{
    return atomic_load_explicit(&slot_of(b, spool)->bytes, memory_order_acquire);
}
