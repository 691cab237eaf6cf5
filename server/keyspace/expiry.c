/* Removing keys whose time has come: when they are met, and by an active cycle for those nobody asks for. Server
 * process.
 *
 * The cycle walks each table in hash order from where it stopped last, so every key with an expiry is met once per
 * round. Segments without such keys cost one look, and keys without an expiry nothing: the buckets say which records
 * have one. */
#include "server/base/clock.h"
#include "server/keyspace/database.h"

#define BATCH_KEYS      64 /* looked at between two readings of the clock */
#define BUCKET_KEYS_MAX 64 /* of one bucket; the rest of a longer chain waits for the next round */
#define STALE_PERC_BASE 10 /* go on in a database while more than this, less the effort, had expired */

void database_remove_for(struct database *db, struct record *r, uint64_t hash, enum keyspace_removal why, bool aside)
{
    struct keyspace *ks = db->keyspace;
    const struct keyspace_hooks *hooks = &ks->hooks;
    bool timed = ks->times_removals && hooks->removed;
    if (hooks->removing) hooks->removing(hooks->context, db, record_key(r), why);
    int64_t began_us = timed ? clock_monotonic_us() : 0;
    database_remove(db, r, hash, aside);
    if (timed) hooks->removed(hooks->context, why, clock_monotonic_us() - began_us);
}

void keyspace_time_removals(struct keyspace *ks, bool on)
{
    ks->times_removals = on;
}

void database_expire(struct database *db, struct record *r, uint64_t hash)
{
    struct keyspace *ks = db->keyspace;
    ks->stats.expired++;
    database_remove_for(db, r, hash, KEY_EXPIRED, ks->settings->lazyfree_lazy_expire);
}

void database_met_expired(struct database *db, struct record *r)
{
    if (!keyspace_only_hides(db->keyspace)) database_expire(db, r, key_hash(record_key(r)));
}

void database_remove_hidden(struct database *db, struct bytes key, uint64_t hash, int64_t now_ms)
{
    const struct keyspace *ks = db->keyspace;
    if (!ks->replica || ks->held) return;
    struct record *r = database_peek(db, key, hash);
    if (r && record_expired(r, now_ms)) database_expire(db, r, hash);
}

bool database_expire_key(struct database *db, struct bytes key, uint64_t hash, int64_t now_ms)
{
    struct record *r = database_find(db, key, hash, now_ms, LOOKUP_KEEP_EXPIRED | LOOKUP_NO_STATS | LOOKUP_NO_TOUCH);
    if (!r || record_expire_ms(r) == RECORD_NO_EXPIRY) return true;
    if (!record_expired(r, now_ms)) return false;
    database_expire(db, r, hash);
    return true;
}

struct batch {
    size_t sampled, expired;
    int64_t ttl_sum_ms;
};

static void examine(struct database *db, struct record *r, int64_t now_ms, struct batch *batch)
{
    batch->sampled++;
    if (record_expired(r, now_ms)) {
        database_expire(db, r, key_hash(record_key(r)));
        batch->expired++;
    } else {
        batch->ttl_sum_ms += record_expire_ms(r) - now_ms;
    }
}

/* A running average that follows the last fifty batches or so. */
static void note_ttl(struct database *db, const struct batch *batch)
{
    if (batch->sampled == batch->expired) return;
    int64_t ttl_ms = batch->ttl_sum_ms / (int64_t)(batch->sampled - batch->expired);
    db->average_ttl_ms = db->average_ttl_ms == 0 ? ttl_ms : db->average_ttl_ms / 50 * 49 + ttl_ms / 50;
}

/* Examines about BATCH_KEYS keys from the saved position on; fewer at the end of the table, but at least one. */
static struct batch expire_batch(struct database *db, int64_t now_ms)
{
    struct table *t = &db->table;
    struct batch batch = {0};
    if (!table_skip_empty(t, &db->expire_position, true)) db->expire_position = 0;
    while (batch.sampled < BATCH_KEYS && table_skip_empty(t, &db->expire_position, true)) {
        uint32_t handles[BUCKET_KEYS_MAX];
        uint64_t next;
        size_t n = table_collect(t, db->expire_position, true, handles, BUCKET_KEYS_MAX, &next);
        if (n > BUCKET_KEYS_MAX) n = BUCKET_KEYS_MAX;
        for (size_t i = 0; i < n; i++) __builtin_prefetch(store_at(t->store, handles[i]));
        for (size_t i = 0; i < n; i++) examine(db, store_at(t->store, handles[i]), now_ms, &batch);
        db->expire_position = next;
        if (next == 0) break;
    }
    note_ttl(db, &batch);
    return batch;
}

static void note_cycle(struct keyspace *ks, size_t sampled, size_t expired, int64_t spent_us)
{
    uint64_t stale_x100 = sampled ? expired * 10000 / sampled : 0;
    ks->stats.expired_stale_perc_x100 = (stale_x100 * 5 + ks->stats.expired_stale_perc_x100 * 95) / 100;
    ks->stats.expire_cycle_us += (uint64_t)spent_us;
}

size_t keyspace_expire_cycle(struct keyspace *ks, int64_t now_ms, int64_t budget_us)
{
    if (keyspace_only_hides(ks) || !ks->active_expiry) return 0;
    const size_t stale_perc = STALE_PERC_BASE - (size_t)(ks->settings->active_expire_effort - 1);
    int64_t start_us = clock_monotonic_us(), spent_us = 0;
    size_t sampled = 0, expired = 0;
    for (int i = 0; i < ks->count && spent_us <= budget_us; i++) {
        struct database *db = &ks->databases[ks->expire_database];
        ks->expire_database = (ks->expire_database + 1) % ks->count;
        size_t to_see = db->table.expiring;
        struct batch batch = {0};
        for (size_t seen = 0; seen < to_see && spent_us <= budget_us; seen += batch.sampled) {
            batch = expire_batch(db, now_ms);
            sampled += batch.sampled;
            expired += batch.expired;
            spent_us = clock_monotonic_us() - start_us;
            if (batch.expired * 100 <= batch.sampled * stale_perc) break;
        }
    }
    if (spent_us > budget_us) ks->stats.expired_time_cap_reached++;
    note_cycle(ks, sampled, expired, spent_us);
    return expired;
}
