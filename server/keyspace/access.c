/* The access clock of a record: when it was last used (LRU) or how often (LFU). Server process.
 *
 * 24 bits, read by OBJECT IDLETIME, OBJECT FREQ and eviction. LRU keeps seconds modulo 2^24. LFU keeps the minute of
 * the last access modulo 2^16 and a logarithmic counter of 8 bits, as Redis documents it: an access raises the counter
 * with probability 1 / ((counter - 5) * lfu-log-factor + 1), and every lfu-decay-time minutes lower it by one.
 *
 * A clock says which of the two it is: after a change of policy it is understood as what it was, until the key is used
 * again. A key whose use was never counted counts as new when the counting began.
 *
 * A clock is written only when it changes, and never while a snapshot runs: a read must not copy a page. */
#include "server/keyspace/database.h"

#define CLOCK_MASK       0xffffffu
#define LFU_COUNTER_NEW  5 /* so that a new key is not the first to be evicted */
#define LFU_COUNTER_MAX  255
#define LFU_MINUTES_MASK 0xffffu

bool access_is_lfu(const struct keyspace *ks)
{
    enum eviction_policy policy = ks->settings->maxmemory_policy;
    return policy == EVICT_VOLATILE_LFU || policy == EVICT_ALLKEYS_LFU;
}

enum access_kind keyspace_access_kind(const struct keyspace *ks)
{
    enum eviction_policy policy = ks->settings->maxmemory_policy;
    if (access_is_lfu(ks)) return ACCESS_FREQUENCY;
    return policy == EVICT_VOLATILE_LRU || policy == EVICT_ALLKEYS_LRU ? ACCESS_IDLE : ACCESS_NONE;
}

void keyspace_set_access_clock(struct keyspace *ks, int64_t steady_ms)
{
    ks->clock_s = (uint32_t)(steady_ms / 1000) & CLOCK_MASK;
    ks->clock_min = (uint32_t)(steady_ms / 60000) & LFU_MINUTES_MASK;
}

static uint32_t clock_of(uint32_t minute, unsigned counter)
{
    return RECORD_CLOCK_COUNTS | minute << 8 | counter;
}

static uint32_t lfu_clock(const struct keyspace *ks, unsigned counter)
{
    return clock_of(ks->clock_min, counter);
}

void keyspace_policy_changed(struct keyspace *ks)
{
    bool counts = access_is_lfu(ks);
    if (counts && !ks->counts) ks->counts_since_min = ks->clock_min;
    ks->counts = counts;
}

/* The record's clock as LFU sees it. */
static uint32_t counting_clock(const struct keyspace *ks, const struct record *r)
{
    uint32_t clock = record_access_clock(r);
    return clock & RECORD_CLOCK_COUNTS ? clock : clock_of(ks->counts_since_min, LFU_COUNTER_NEW);
}

static uint32_t minute_of(uint32_t clock)
{
    return clock >> 8 & LFU_MINUTES_MASK;
}

uint32_t access_clock_new(const struct keyspace *ks)
{
    return access_is_lfu(ks) ? lfu_clock(ks, LFU_COUNTER_NEW) : ks->clock_s;
}

/* A new value is a use, but how often a key was used outlives its value. */
uint32_t access_clock_after_write(const struct keyspace *ks, const struct record *r)
{
    return access_is_lfu(ks) ? counting_clock(ks, r) : ks->clock_s;
}

int keyspace_lfu(const struct keyspace *ks, const struct record *r)
{
    uint32_t clock = counting_clock(ks, r);
    int counter = (int)(clock & LFU_COUNTER_MAX);
    int decay_min = ks->settings->lfu_decay_time_min;
    if (decay_min <= 0) return counter;
    int periods = (int)((ks->clock_min - minute_of(clock)) & LFU_MINUTES_MASK) / decay_min;
    return periods < counter ? counter - periods : 0;
}

int64_t keyspace_idle_s(const struct keyspace *ks, const struct record *r)
{
    uint32_t clock = record_access_clock(r);
    if (clock & RECORD_CLOCK_COUNTS) return (int64_t)((ks->clock_min - minute_of(clock)) & LFU_MINUTES_MASK) * 60;
    return (ks->clock_s - clock) & CLOCK_MASK;
}

static unsigned lfu_count_access(struct keyspace *ks, unsigned counter)
{
    if (counter == LFU_COUNTER_MAX) return counter;
    uint64_t above = counter > LFU_COUNTER_NEW ? counter - LFU_COUNTER_NEW : 0;
    int factor = ks->settings->lfu_log_factor;
    uint64_t one_in = above * (uint64_t)(factor > 0 ? factor : 0) + 1;
    return counter + (random_below(&ks->random, one_in) == 0);
}

void access_touch(struct keyspace *ks, struct record *r)
{
    if (ks->snapshot_running) return;
    uint32_t clock = ks->clock_s;
    if (access_is_lfu(ks)) clock = lfu_clock(ks, lfu_count_access(ks, (unsigned)keyspace_lfu(ks, r)));
    if (clock != record_access_clock(r)) record_set_access_clock(r, clock);
}

void database_set_access(struct database *db, struct record *r, int64_t idle_s, int lfu_counter)
{
    struct keyspace *ks = db->keyspace;
    if (access_is_lfu(ks)) {
        if (lfu_counter >= 0) record_set_access_clock(r, lfu_clock(ks, (unsigned)lfu_counter & LFU_COUNTER_MAX));
    } else if (idle_s >= 0) {
        record_set_access_clock(r, (ks->clock_s - (uint32_t)idle_s) & CLOCK_MASK);
    }
}
