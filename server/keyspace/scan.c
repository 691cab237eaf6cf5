/* SCAN, RANDOMKEY and the walk over a whole database. Server process; the snapshot child walks. */
#include "server/keyspace/database.h"

#define BUCKET_KEYS_MAX   256 /* of one bucket and its chain; hashes spread evenly stay far below */
#define EMPTY_BUCKETS_MAX 10  /* visited per record asked for, so that a sparse table cannot hold the loop up */
#define COUNT_MAX         ((size_t)1 << 40) /* more than there can be, and safe to multiply */
#define RANDOM_ATTEMPTS   100

/* The cursor is a position of the table: the leading bits of the next hash to visit. Hash order survives splits and
 * merges, so all that lies before it has been visited and all that lies behind has not; when a merge has put the
 * position into the midst of a bucket, the bucket is visited whole, some of it for the second time. */
uint64_t database_scan(struct database *db, uint64_t cursor, size_t count, void (*visit)(void *arg, struct record *r),
                       void *arg)
{
    const struct table *t = &db->table;
    if (count > COUNT_MAX) count = COUNT_MAX;
    size_t visited = 0, buckets = 0, buckets_max = SEGMENT_BUCKETS + count * EMPTY_BUCKETS_MAX;
    cursor &= (1ull << TABLE_POSITION_BITS) - 1;
    do {
        uint32_t handles[BUCKET_KEYS_MAX];
        if (!table_skip_empty(t, &cursor, false)) return 0;
        size_t n = table_collect(t, cursor, false, handles, BUCKET_KEYS_MAX, &cursor);
        if (n > BUCKET_KEYS_MAX) n = BUCKET_KEYS_MAX;
        for (size_t i = 0; i < n; i++) __builtin_prefetch(store_at(t->store, handles[i]));
        for (size_t i = 0; i < n; i++) visit(arg, store_at(t->store, handles[i]));
        visited += n;
        buckets++;
    } while (cursor != 0 && visited < count && buckets < buckets_max);
    return cursor;
}

void database_walk(struct database *db, int (*visit)(void *arg, struct record *r), void *arg)
{
    table_walk(&db->table, visit, arg);
}

/* A replica, which must not remove what has expired, gives such a key in the end if it seems to have no others. */
struct record *database_random(struct database *db, int64_t now_ms, bool only_expiring)
{
    struct keyspace *ks = db->keyspace;
    for (int i = 0;; i++) {
        uint32_t handle = table_random(&db->table, &ks->random, only_expiring);
        if (!handle) return NULL;
        struct record *r = store_at(db->table.store, handle);
        if (!record_expired(r, now_ms)) return r;
        if (!keyspace_only_hides(ks))
            database_expire(db, r, key_hash(record_key(r)));
        else if (i >= RANDOM_ATTEMPTS && db->table.expiring == db->table.count)
            return r;
        else if (i >= RANDOM_ATTEMPTS * 100)
            return NULL;
    }
}
