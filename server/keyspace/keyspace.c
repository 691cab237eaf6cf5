/* The keyspace as a whole: its life, its modes, flushing and swapping databases. Server process. */
#include "server/keyspace/keyspace.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/keyspace/database.h"
#include "server/keyspace/lazyfree.h"

struct keyspace *keyspace_new(int databases, const struct keyspace_settings *settings,
                              const struct keyspace_hooks *hooks)
{
    struct keyspace *ks = mem_calloc(1, sizeof(*ks));
    uint64_t seed;
    random_from_kernel(&seed, sizeof(seed));
    random_seed(&ks->random, seed);
    ks->settings = settings;
    if (hooks) ks->hooks = *hooks;
    ks->active_expiry = true;
    ks->store = store_new();
    ks->count = databases;
    ks->databases = mem_calloc((size_t)databases, sizeof(*ks->databases));
    for (int i = 0; i < databases; i++) {
        struct database *db = &ks->databases[i];
        db->keyspace = ks;
        db->index = i;
        table_init(&db->table, ks->store);
    }
    return ks;
}

/* Hands every record over to be freed, with their store. The tables are to be initialised again. */
static void release_store(struct keyspace *ks, enum lazyfree_how how)
{
    struct table *tables = mem_alloc((size_t)ks->count * sizeof(*tables));
    for (int i = 0; i < ks->count; i++) tables[i] = ks->databases[i].table;
    lazyfree_store(ks->store, tables, ks->count, how);
    mem_free(tables);
}

static void replace_store(struct keyspace *ks, bool aside)
{
    release_store(ks, aside ? FREE_ASIDE : FREE_QUICKLY);
    ks->store = store_new();
    for (int i = 0; i < ks->count; i++) {
        struct database *db = &ks->databases[i];
        table_init(&db->table, ks->store);
        db->table.patient = ks->snapshot_running;
        db->average_ttl_ms = 0;
        db->expire_position = 0;
    }
    ks->evict.candidates = 0;
}

void keyspace_free(struct keyspace *ks)
{
    release_store(ks, FREE_HERE);
    mem_free(ks->databases);
    mem_free(ks);
}

int keyspace_databases(const struct keyspace *ks)
{
    return ks->count;
}

struct database *keyspace_database(struct keyspace *ks, int index)
{
    CHECK(index >= 0 && index < ks->count);
    return &ks->databases[index];
}

struct keyspace_stats *keyspace_stats(struct keyspace *ks)
{
    ks->stats.lazyfree_pending = keyspace_lazyfree_pending();
    ks->stats.lazyfreed += lazyfree_take_freed();
    return &ks->stats;
}

struct random_state *keyspace_random(struct keyspace *ks)
{
    return &ks->random;
}

/* --- modes --- */

void keyspace_set_replica(struct keyspace *ks, bool replica)
{
    ks->replica = replica;
}

void keyspace_set_held(struct keyspace *ks, bool held)
{
    ks->held = held;
}

void keyspace_set_snapshot_running(struct keyspace *ks, bool running)
{
    ks->snapshot_running = running;
    for (int i = 0; i < ks->count; i++) ks->databases[i].table.patient = running;
}

void keyspace_set_active_expiry(struct keyspace *ks, bool on)
{
    ks->active_expiry = on;
}

/* --- flush and swap --- */

static bool is_only_database_with_keys(const struct database *db)
{
    const struct keyspace *ks = db->keyspace;
    for (int i = 0; i < ks->count; i++)
        if (i != db->index && ks->databases[i].table.count > 0) return false;
    return true;
}

struct flush {
    struct store *store;
    bool aside;
};

static int flush_record(void *arg, struct record *r)
{
    const struct flush *flush = arg;
    size_t size = record_size(r);
    record_free_outside(r, flush->aside);
    store_release(flush->store, store_handle(flush->store, r), size);
    return 0;
}

void database_flush(struct database *db, bool aside)
{
    if (db->table.count == 0) return;
    if (is_only_database_with_keys(db)) {
        replace_store(db->keyspace, aside);
        return;
    }
    /* The store is shared with other databases, so the blocks go back here and now; see lazyfree.c. */
    struct flush flush = {db->table.store, aside};
    table_walk(&db->table, flush_record, &flush);
    table_free(&db->table);
    db->average_ttl_ms = 0;
    db->expire_position = 0;
}

void keyspace_flush(struct keyspace *ks, bool aside)
{
    for (int i = 0; i < ks->count; i++) {
        if (ks->databases[i].table.segments == 0) continue;
        replace_store(ks, aside);
        return;
    }
}

static void swap_contents(struct database *x, struct database *y)
{
    struct database was = *x;
    x->table = y->table;
    x->average_ttl_ms = y->average_ttl_ms;
    x->expire_position = y->expire_position;
    y->table = was.table;
    y->average_ttl_ms = was.average_ttl_ms;
    y->expire_position = was.expire_position;
}

void keyspace_swap(struct keyspace *ks, int a, int b)
{
    swap_contents(&ks->databases[a], &ks->databases[b]);
}

void keyspace_exchange(struct keyspace *a, struct keyspace *b)
{
    CHECK(a->count == b->count);
    for (int i = 0; i < a->count; i++) swap_contents(&a->databases[i], &b->databases[i]);
    struct store *was = a->store;
    a->store = b->store;
    b->store = was;
    a->evict.candidates = b->evict.candidates = 0;
    keyspace_set_snapshot_running(a, a->snapshot_running);
    keyspace_set_snapshot_running(b, b->snapshot_running);
}

struct keyspace *keyspace_new_beside(const struct keyspace *ks)
{
    struct keyspace *beside = keyspace_new(ks->count, ks->settings, NULL);
    beside->replica = ks->replica;
    beside->clock_s = ks->clock_s;
    beside->clock_min = ks->clock_min;
    return beside;
}

/* --- memory --- */

void keyspace_memory(const struct keyspace *ks, struct keyspace_memory *out)
{
    size_t blocks = 0; /* of tables, in the store */
    *out = (struct keyspace_memory){.store_reserved = ks->store->granted, .store_resident = store_resident(ks->store)};
    for (int i = 0; i < ks->count; i++) {
        out->table_bytes += table_memory(&ks->databases[i].table);
        blocks += table_blocks(&ks->databases[i].table);
    }
    out->store_used = ks->store->used - blocks;
}
