/* Eviction under `maxmemory`. Server process.
 *
 * Approximated, as Redis documents it: of each database maxmemory-samples keys are looked at, the best of them join a
 * pool of the best met so far, and the best of the pool goes. The keys of one bucket are as random a sample as any, for
 * the hash put them there, so a sample costs one cache miss for the bucket and then the records', overlapped. */
#include "server/base/clock.h"
#include "server/keyspace/database.h"

#define SAMPLES_MAX      64
#define CHECK_TIME_EVERY 16 /* keys */

static bool only_expiring(enum eviction_policy policy)
{
    return policy == EVICT_VOLATILE_LRU || policy == EVICT_VOLATILE_LFU || policy == EVICT_VOLATILE_RANDOM ||
           policy == EVICT_VOLATILE_TTL;
}

static bool is_random(enum eviction_policy policy)
{
    return policy == EVICT_VOLATILE_RANDOM || policy == EVICT_ALLKEYS_RANDOM;
}

static size_t eligible(const struct database *db, enum eviction_policy policy)
{
    return only_expiring(policy) ? db->table.expiring : db->table.count;
}

static uint64_t score(const struct keyspace *ks, const struct record *r)
{
    if (ks->settings->maxmemory_policy == EVICT_VOLATILE_TTL) return UINT64_MAX - (uint64_t)record_expire_ms(r);
    if (access_is_lfu(ks)) return UINT8_MAX - (unsigned)keyspace_lfu(ks, r);
    return (uint64_t)keyspace_idle_s(ks, r);
}

/* Keeps the pool sorted; a full one loses its worst. */
static void pool_add(struct eviction *e, const struct eviction_candidate *candidate)
{
    int place = 0;
    for (int i = 0; i < e->candidates; i++)
        if (e->pool[i].handle == candidate->handle && e->pool[i].database == candidate->database) return;
    while (place < e->candidates && e->pool[place].score < candidate->score) place++;
    if (e->candidates < EVICTION_POOL_SIZE) {
        memmove(&e->pool[place + 1], &e->pool[place], (size_t)(e->candidates - place) * sizeof(e->pool[0]));
        e->candidates++;
    } else {
        if (place == 0) return;
        place--;
        memmove(&e->pool[0], &e->pool[1], (size_t)place * sizeof(e->pool[0]));
    }
    e->pool[place] = *candidate;
}

/* Fills `out` with handles from a random place on; fewer than `wanted` only when the table has no more. */
static size_t sample(const struct table *t, struct random_state *random, bool expiring, uint32_t *out, size_t wanted)
{
    size_t total = 0;
    uint64_t position = random_u64(random) >> (64 - TABLE_POSITION_BITS);
    bool wrapped = false;
    while (total < wanted) {
        uint32_t found[SAMPLES_MAX];
        if (!table_skip_empty(t, &position, expiring)) {
            if (wrapped) break;
            wrapped = true;
            continue;
        }
        size_t n = table_collect(t, position, expiring, found, SAMPLES_MAX, &position);
        if (n > SAMPLES_MAX) n = SAMPLES_MAX;
        /* In random order: were it the slots', keys in high slots would hardly ever be met. */
        for (; n > 0 && total < wanted; n--) {
            size_t pick = random_below(random, n);
            out[total++] = found[pick];
            found[pick] = found[n - 1];
        }
        if (position == 0) {
            if (wrapped) break;
            wrapped = true;
        }
    }
    return total;
}

static void pool_fill(struct keyspace *ks, struct database *db)
{
    uint32_t handles[SAMPLES_MAX];
    size_t wanted =
        ks->settings->maxmemory_samples < SAMPLES_MAX ? (size_t)ks->settings->maxmemory_samples : SAMPLES_MAX;
    size_t n = sample(&db->table, &ks->random, only_expiring(ks->settings->maxmemory_policy), handles, wanted);
    for (size_t i = 0; i < n; i++) __builtin_prefetch(store_at(db->table.store, handles[i]));
    for (size_t i = 0; i < n; i++) {
        const struct record *r = store_at(db->table.store, handles[i]);
        struct eviction_candidate candidate = {score(ks, r), key_hash(record_key(r)), handles[i], db->index};
        pool_add(&ks->evict, &candidate);
    }
}

/* The best candidate that still exists, or NULL when the pool has none. */
static struct record *pool_take(struct keyspace *ks, struct database **db, uint64_t *hash)
{
    struct eviction *e = &ks->evict;
    while (e->candidates > 0) {
        const struct eviction_candidate *best = &e->pool[--e->candidates];
        struct table_slot slot;
        *db = &ks->databases[best->database];
        *hash = best->hash;
        if (!table_locate(&(*db)->table, best->hash, best->handle, &slot)) continue;
        struct record *r = store_at((*db)->table.store, best->handle);
        if (only_expiring(ks->settings->maxmemory_policy) && record_expire_ms(r) == RECORD_NO_EXPIRY) continue;
        return r;
    }
    return NULL;
}

static struct record *choose_random(struct keyspace *ks, struct database *only, struct database **db, uint64_t *hash)
{
    for (int i = 0; i < ks->count; i++) {
        *db = &ks->databases[ks->evict.next_database++ % ks->count];
        ks->evict.next_database %= ks->count;
        if (only && *db != only) continue;
        uint32_t handle = table_random(&(*db)->table, &ks->random, only_expiring(ks->settings->maxmemory_policy));
        if (!handle) continue;
        struct record *r = store_at((*db)->table.store, handle);
        *hash = key_hash(record_key(r));
        return r;
    }
    return NULL;
}

static struct record *choose_best(struct keyspace *ks, struct database *only, struct database **db, uint64_t *hash)
{
    for (;;) {
        size_t keys = 0;
        for (int i = 0; i < ks->count; i++) {
            if (only && &ks->databases[i] != only) continue;
            size_t n = eligible(&ks->databases[i], ks->settings->maxmemory_policy);
            if (n > 0) pool_fill(ks, &ks->databases[i]);
            keys += n;
        }
        if (keys == 0) return NULL;
        struct record *r = pool_take(ks, db, hash);
        if (r) return r;
    }
}

/* How long one call may take, from maxmemory-eviction-tenacity: 0.5 ms at the default of 10, without limit at 100. */
static int64_t budget_us(int tenacity)
{
    if (tenacity <= 10) return 50 * tenacity;
    if (tenacity >= 100) return INT64_MAX;
    double us = 500;
    for (int i = 10; i < tenacity; i++) us *= 1.15;
    return (int64_t)us;
}

static struct record *choose(struct keyspace *ks, struct database *only, struct database **db, uint64_t *hash)
{
    return is_random(ks->settings->maxmemory_policy) ? choose_random(ks, only, db, hash)
                                                     : choose_best(ks, only, db, hash);
}

/* Returns about how many bytes go. Not measured, for a large value is freed later, by another thread. */
static size_t evict_one(struct database *db, struct record *r, uint64_t hash)
{
    struct keyspace *ks = db->keyspace;
    size_t bytes = record_memory(r);
    ks->stats.evicted++;
    database_remove_for(db, r, hash, KEY_EVICTED, ks->settings->lazyfree_lazy_eviction);
    return bytes;
}

int keyspace_evict(struct keyspace *ks, int64_t steady_ms, size_t used_bytes)
{
    const struct keyspace_settings *settings = ks->settings;
    if (settings->maxmemory_bytes == 0 || used_bytes <= settings->maxmemory_bytes) return 0;
    if (ks->held) return 0;
    if (ks->replica && settings->replica_ignore_maxmemory) return 0;
    if (settings->maxmemory_policy == EVICT_NONE) return -1;
    keyspace_set_access_clock(ks, steady_ms);
    size_t excess = used_bytes - settings->maxmemory_bytes, freed = 0;
    int64_t start_us = clock_monotonic_us(), limit_us = budget_us(settings->maxmemory_eviction_tenacity);
    for (unsigned keys = 1; freed < excess; keys++) {
        struct database *db;
        uint64_t hash;
        struct record *r = choose(ks, NULL, &db, &hash);
        if (!r) return keyspace_lazyfree_pending() > 0 ? 1 : -1;
        freed += evict_one(db, r, hash);
        if (keys % CHECK_TIME_EVERY == 0 && clock_monotonic_us() - start_us > limit_us) return freed < excess;
    }
    return 0;
}

/* --- a record store near its end --- */

/* Blocks that become free serve records of their size, so mostly it is enough that some do. Where sizes have changed so
 * much that pages ran out all the same, more must go, until whole pages are empty. */
static bool lacks_room(const struct store *s)
{
    return store_excess(s) > 0 || store_is_full(s);
}

static int relieve_store(struct database *db)
{
    struct keyspace *ks = db->keyspace;
    const struct store *store = db->table.store;
    if (!lacks_room(store)) return 0;
    if (ks->settings->maxmemory_policy == EVICT_NONE) return -1;
    ks->evict.candidates = 0; /* those of other databases are of no use here */
    int64_t start_us = clock_monotonic_us(), limit_us = budget_us(ks->settings->maxmemory_eviction_tenacity);
    for (unsigned keys = 1; lacks_room(store); keys++) {
        struct database *chosen;
        uint64_t hash;
        struct record *r = choose(ks, db, &chosen, &hash);
        if (!r) return -1;
        evict_one(chosen, r, hash);
        if (keys % CHECK_TIME_EVERY == 0 && clock_monotonic_us() - start_us > limit_us) return lacks_room(store);
    }
    return 0;
}

int keyspace_relieve_stores(struct keyspace *ks, int64_t steady_ms)
{
    int result = 0;
    if (ks->held || ks->replica) return 0;
    keyspace_set_access_clock(ks, steady_ms);
    for (int i = 0; i < ks->count && result == 0; i++) {
        struct database *db = &ks->databases[i];
        if (db->table.store && db->table.store->pressed) result = relieve_store(db);
    }
    return result;
}
