/* Fields of hashes whose time has come: a database's index of the hashes that have such fields, what is removed of a
 * hash when it is met, and the active cycle for those nobody asks for. Server process.
 *
 * A hash stands in the index once, under its next field's expiry and its key's hash. So the cycle goes from one hash
 * with dead fields to the next, in the order of time, however many others there are; one that was only loaded or never
 * asked for waits no longer than a cycle's period. Who changes a hash says what its next expiry was before. */
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/data/hash.h"
#include "server/keyspace/database.h"

#define BUCKET_KEYS_MAX 64 /* of one bucket, chain included; so many never come together */

static struct hash hash_of(const struct record *r)
{
    return (struct hash){record_encoding(r), record_object(r), record_object_inside(r), 0};
}

static int64_t next_expiry(const struct record *r)
{
    struct hash h = hash_of(r);
    return hash_next_expiry(&h);
}

void database_index_fields(struct database *db, const struct record *r, uint64_t hash)
{
    if (record_is_timed_hash(r)) expiry_index_add(&db->table.field_expiry, next_expiry(r), hash);
}

void database_unindex_fields(struct database *db, const struct record *r, uint64_t hash)
{
    if (record_is_timed_hash(r)) expiry_index_remove(&db->table.field_expiry, next_expiry(r), hash);
}

void database_fields_changed(struct database *db, const struct record *r, uint64_t hash, int64_t was_ms)
{
    struct expiry_index *index = &db->table.field_expiry;
    int64_t now_ms = next_expiry(r);
    if (was_ms == now_ms) return;
    if (was_ms != HASH_NO_EXPIRY) expiry_index_remove(index, was_ms, hash);
    if (now_ms != HASH_NO_EXPIRY) expiry_index_add(index, now_ms, hash);
}

/* --- what goes at once --- */

/* The names of fields that are gone, copied while they were still there. */
struct names {
    struct bytes fields[FIELDS_REAPED_AT_ONCE];
    size_t count, len, capacity;
    uint8_t *text;
};

static void take_name(void *arg, struct bytes field)
{
    struct names *n = arg;
    if (n->len + field.len > n->capacity || !n->text) {
        n->capacity = (n->len + field.len) * 2 + 64;
        n->text = mem_realloc(n->text, n->capacity);
    }
    if (field.len) memcpy(n->text + n->len, field.ptr, field.len);
    n->fields[n->count++] = bytes_make(NULL, field.len); /* the text may still move */
    n->len += field.len;
}

static void place_names(struct names *n)
{
    size_t at = 0;
    for (size_t i = 0; i < n->count; at += n->fields[i++].len) n->fields[i].ptr = n->text + at;
}

static bool may_reap(const struct database *db, int64_t next_ms, int64_t now_ms)
{
    return next_ms != HASH_NO_EXPIRY && next_ms < now_ms && !keyspace_only_hides(db->keyspace);
}

/* What a record's hash has become without those named: kept, told, and removed where nothing is left. */
static struct record *bury(struct database *db, struct record *r, uint64_t hash, struct hash *h, int64_t was_ms,
                           struct names *names)
{
    struct keyspace *ks = db->keyspace;
    place_names(names);
    r = database_keep_object(db, r, record_key(r), hash, TYPE_HASH, h->encoding, h->object);
    database_fields_changed(db, r, hash, was_ms);
    *h = hash_of(r);
    bool gone = hash_length(h) == 0;
    ks->stats.expired_fields += names->count;
    if (ks->hooks.fields_expired)
        ks->hooks.fields_expired(ks->hooks.context, db, record_key(r), names->fields, names->count, gone);
    mem_free(names->text);
    *names = (struct names){.count = 0};
    if (!gone) return r;
    database_remove(db, r, hash, ks->settings->lazyfree_lazy_expire);
    return NULL;
}

struct record *database_reap_fields(struct database *db, struct record *r, uint64_t hash, int64_t now_ms)
{
    int64_t was_ms = next_expiry(r);
    if (!may_reap(db, was_ms, now_ms)) return r;
    struct hash h = hash_of(r);
    struct names names = {.count = 0};
    hash_reap(&h, now_ms, FIELDS_REAPED_AT_ONCE, take_name, &names);
    return bury(db, r, hash, &h, was_ms, &names);
}

struct record *database_reap_named(struct database *db, struct record *r, uint64_t hash, int64_t now_ms,
                                   const struct bytes *fields, size_t count, size_t step)
{
    for (size_t i = 0; r && i < count;) {
        int64_t was_ms = next_expiry(r);
        if (!may_reap(db, was_ms, now_ms)) return r;
        struct hash h = hash_of(r);
        struct names names = {.count = 0};
        for (; i < count && names.count < FIELDS_REAPED_AT_ONCE; i += step) {
            int64_t at_ms = hash_expiry(&h, fields[i]);
            if (at_ms == HASH_NO_EXPIRY || at_ms >= now_ms) continue;
            take_name(&names, fields[i]);
            hash_delete(&h, fields[i]);
        }
        if (names.count > 0) r = bury(db, r, hash, &h, was_ms, &names);
    }
    return r;
}

bool database_remove_dead_hash(struct database *db, struct record *r, uint64_t hash)
{
    struct keyspace *ks = db->keyspace;
    struct hash h = hash_of(r);
    if (keyspace_only_hides(ks)) return false;
    ks->stats.expired_fields += hash_length(&h);
    if (ks->hooks.fields_expired) ks->hooks.fields_expired(ks->hooks.context, db, record_key(r), NULL, 0, true);
    database_remove(db, r, hash, ks->settings->lazyfree_lazy_expire);
    return true;
}

/* --- the active cycle --- */

static struct record *due_record(const struct database *db, const struct expiry_entry *due)
{
    uint32_t handles[BUCKET_KEYS_MAX];
    uint64_t next;
    uint64_t position = due->hash >> (64 - TABLE_POSITION_BITS);
    size_t n = table_collect(&db->table, position, false, handles, BUCKET_KEYS_MAX, &next);
    for (size_t i = 0; i < n && i < BUCKET_KEYS_MAX; i++) {
        struct record *r = store_at(db->table.store, handles[i]);
        if (record_is_timed_hash(r) && key_hash(record_key(r)) == due->hash && next_expiry(r) == due->when_ms) return r;
    }
    return NULL;
}

size_t database_timed_hashes(const struct database *db)
{
    return expiry_index_count(&db->table.field_expiry);
}

const struct record *database_next_timed_hash(const struct database *db)
{
    struct expiry_entry due;
    return expiry_index_first(&db->table.field_expiry, &due) ? due_record(db, &due) : NULL;
}

/* False: nothing in this database is due. */
static bool expire_some(struct database *db, int64_t now_ms)
{
    struct expiry_index *index = &db->table.field_expiry;
    struct expiry_entry due;
    if (expiry_index_count(index) == 0 || index->first_ms >= now_ms) return false;
    if (!expiry_index_first(index, &due)) return false;
    struct record *r = due_record(db, &due);
    if (r)
        database_reap_fields(db, r, due.hash, now_ms);
    else
        expiry_index_remove(index, due.when_ms, due.hash);
    return true;
}

void keyspace_expire_fields(struct keyspace *ks, int64_t now_ms, int64_t budget_us)
{
    if (keyspace_only_hides(ks) || !ks->active_expiry) return;
    int64_t start_us = 0;
    for (int i = 0; i < ks->count; i++) {
        struct database *db = &ks->databases[(ks->expire_database + i) % ks->count];
        while (expire_some(db, now_ms)) {
            if (start_us == 0) start_us = clock_monotonic_us();
            if (clock_monotonic_us() - start_us > budget_us) return;
        }
    }
}
