/* The keyspace as a whole: its life, its modes, flushing and swapping databases. Server process. */
#include "server/keyspace/keyspace.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/keyspace/database.h"
#include "server/keyspace/free_aside.h"
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
    ks->count = databases;
    ks->databases = mem_calloc((size_t)databases, sizeof(*ks->databases));
    for (int i = 0; i < databases; i++) {
        struct database *db = &ks->databases[i];
        db->keyspace = ks;
        db->index = i;
        table_init(&db->table, NULL);
    }
    return ks;
}

/* The data goes whole, with its store. */
static void give_up(struct database *db, enum lazyfree_how how)
{
    lazyfree_table(&db->table, how);
    table_init(&db->table, NULL);
    db->table.patient = db->keyspace->snapshot_running;
    db->average_ttl_ms = 0;
    db->expire_position = 0;
}

void keyspace_free(struct keyspace *ks)
{
    for (int i = 0; i < ks->count; i++) give_up(&ks->databases[i], FREE_HERE);
    libraries_clear(&ks->libraries);
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
    ks->stats.lazyfreed += free_aside_take_freed();
    return &ks->stats;
}

struct random_state *keyspace_random(struct keyspace *ks)
{
    return &ks->random;
}

struct libraries *keyspace_libraries(struct keyspace *ks)
{
    return &ks->libraries;
}

void keyspace_set_meeting(struct keyspace *ks, enum dataset_meeting meeting)
{
    ks->libraries.meeting = meeting;
}

void keyspace_set_library_host(struct keyspace *ks, const struct library_host *host)
{
    ks->libraries.host = host;
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

void keyspace_set_replaying(struct keyspace *ks, bool replaying)
{
    ks->replaying = replaying;
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

bool keyspace_active_expiry(const struct keyspace *ks)
{
    return ks->active_expiry;
}

/* --- flush and swap --- */

void database_flush(struct database *db, bool aside)
{
    give_up(db, aside ? FREE_ASIDE : FREE_QUICKLY);
    db->keyspace->evict.candidates = 0;
}

void keyspace_flush(struct keyspace *ks, bool aside)
{
    for (int i = 0; i < ks->count; i++) database_flush(&ks->databases[i], aside);
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
    libraries_exchange(&a->libraries, &b->libraries);
    a->evict.candidates = b->evict.candidates = 0;
    keyspace_set_snapshot_running(a, a->snapshot_running);
    keyspace_set_snapshot_running(b, b->snapshot_running);
}

struct keyspace *keyspace_new_beside(const struct keyspace *ks)
{
    struct keyspace *beside = keyspace_new(ks->count, ks->settings, NULL);
    beside->libraries.host = ks->libraries.host;
    beside->replica = ks->replica;
    beside->clock_s = ks->clock_s;
    beside->clock_min = ks->clock_min;
    return beside;
}

/* --- memory --- */

void keyspace_memory(const struct keyspace *ks, struct keyspace_memory *out)
{
    *out = (struct keyspace_memory){0};
    for (int i = 0; i < ks->count; i++) {
        const struct table *t = &ks->databases[i].table;
        out->table_bytes += table_memory(t);
        if (!t->store) continue;
        out->store_reserved += t->store->granted;
        out->store_resident += store_resident(t->store);
        out->store_used += t->store->used - table_blocks(t); /* what blocks hold besides the table */
    }
}

size_t database_table_bytes(const struct database *db)
{
    return table_memory(&db->table);
}

struct database_table database_table(const struct database *db)
{
    const struct table *t = &db->table;
    return (struct database_table){
        .records = t->count,
        .expiring = t->expiring,
        .slots = t->segments * SEGMENT_SLOTS,
        .segments = t->segments,
        .chained = t->chained,
    };
}
