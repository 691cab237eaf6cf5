/* Looking up and changing the keys of one database. Server process.
 *
 * Every change ends in one of three steps: a record is inserted, rewritten (in its place when the block and the
 * expiry's place stay the same, else in a new block), or removed. The rest decides what the value's bytes are. */
#include "server/keyspace/database.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/data/flat.h"
#include "server/keyspace/lazyfree.h"

#define EMBSTR_MAX        44         /* OBJECT ENCODING: longer strings are "raw" */
#define APPEND_DOUBLE_MAX (1u << 20) /* a growing string doubles its room up to this, then adds as much */

int database_index(const struct database *db)
{
    return db->index;
}

struct keyspace *database_keyspace(const struct database *db)
{
    return db->keyspace;
}

size_t database_size(const struct database *db)
{
    return db->table.count;
}

bool database_is_exhausted(const struct database *db)
{
    return db->table.store && store_is_exhausted(db->table.store); /* none before a key */
}

bool database_reserve_is_low(const struct database *db)
{
    return db->table.store && store_reserve_is_low(db->table.store);
}

size_t database_expiring(const struct database *db)
{
    return db->table.expiring;
}

int64_t database_average_ttl_ms(const struct database *db)
{
    return db->average_ttl_ms;
}

void database_reserve(struct database *db, size_t keys)
{
    table_reserve(&db->table, keys);
}

/* --- look up --- */

void database_prefetch_bucket(const struct database *db, uint64_t hash)
{
    __builtin_prefetch(entry_bucket(table_entry(&db->table, hash), hash));
}

void database_prefetch_record(const struct database *db, uint64_t hash)
{
    uintptr_t entry = table_entry(&db->table, hash);
    const struct bucket *b = entry_bucket(entry, hash);
    unsigned match = bucket_match(b, hash_tag(hash));
    if (!match) __builtin_prefetch(segment_count(entry_segment(entry))); /* an insertion, perhaps */
    for (; match; match &= match - 1) {
        const uint8_t *r = store_at(db->table.store, b->handles[__builtin_ctz(match)]);
        __builtin_prefetch(r);
        __builtin_prefetch(r + 64);
        __builtin_prefetch(r + 87); /* the last byte of a key of 16 bytes with a value of 64 */
    }
}

struct record *database_find(struct database *db, struct bytes key, uint64_t hash, int64_t now_ms, unsigned flags)
{
    struct keyspace *ks = db->keyspace;
    struct table_slot slot;
    struct record *r = table_find(&db->table, hash, key, &slot);
    if (r && unlikely(record_expired(r, now_ms)) && !(flags & LOOKUP_KEEP_EXPIRED)) {
        if (!keyspace_only_hides(ks)) database_expire(db, r, hash);
        r = NULL;
    }
    if (r && !(flags & LOOKUP_NO_TOUCH)) access_touch(ks, r);
    if (!(flags & (LOOKUP_WRITE | LOOKUP_NO_STATS))) {
        if (r)
            ks->stats.hits++;
        else
            ks->stats.misses++;
    }
    return r;
}

struct record *database_peek(const struct database *db, struct bytes key, uint64_t hash)
{
    struct table_slot slot;
    return table_find(&db->table, hash, key, &slot);
}

/* Longest value that goes inside beside this key. A crowded store gets no long ones any more: with their bytes on the
 * heap, what is left of it holds many times as many keys. */
static size_t value_room(const struct database *db, struct bytes key)
{
    if (unlikely(stores_any_crowded()) && db->table.store && db->table.store->crowded) return sizeof(struct outside);
    return record_value_room(key);
}

/* --- the three steps --- */

static struct record *insert(struct database *db, const struct record_part *key, uint64_t hash,
                             const struct record_part *value, int64_t expire_ms, uint32_t clock)
{
    bool expires = expire_ms != RECORD_NO_EXPIRY;
    if (unlikely(!db->table.store)) db->table.store = store_new();
    uint32_t handle = store_alloc(db->table.store, record_parts_size(key, value, expires));
    struct record *r = store_at(db->table.store, handle);
    record_write(r, clock, key, value, expire_ms);
    table_insert(&db->table, hash, handle, expires);
    const struct keyspace_hooks *hooks = &db->keyspace->hooks;
    if (hooks->added) hooks->added(hooks->context, db, record_key(r));
    return r;
}

/* Gives r another value or expiry and returns where it is now. What the old value owned is not freed: it may be part of
 * the new one. `slot` may be NULL. */
static struct record *rewrite(struct database *db, struct record *r, const struct table_slot *slot,
                              const struct record_part *value, int64_t expire_ms, uint32_t clock)
{
    struct table *t = &db->table;
    struct record_part key;
    record_part_same_key(&key, r);
    bool expires = expire_ms != RECORD_NO_EXPIRY;
    size_t old_size = record_size(r), size = record_parts_size(&key, value, expires);
    if (store_block_size(size) == store_block_size(old_size) && expires == (record_expiry_size(r) > 0)) {
        record_set_access_clock(r, clock);
        record_overwrite(r, value);
        if (expires) record_overwrite_expiry(r, expire_ms);
        return r;
    }
    struct table_slot found;
    uint32_t old_handle = store_handle(t->store, r);
    if (!slot) {
        CHECK(table_locate(t, key_hash(record_key(r)), old_handle, &found));
        slot = &found;
    }
    uint32_t handle = store_alloc(t->store, size);
    struct record *moved = store_at(t->store, handle);
    record_write(moved, clock, &key, value, expire_ms);
    table_replace(t, slot, handle, expires);
    store_release(t->store, old_handle);
    return moved;
}

/* Takes the entry of r out of the table and its block back; what it owns outside is the caller's. */
static void forget(struct database *db, struct record *r, uint64_t hash)
{
    struct table *t = &db->table;
    struct table_slot slot;
    uint32_t handle = store_handle(t->store, r);
    CHECK(table_locate(t, hash, handle, &slot));
    table_remove(t, hash, &slot);
    store_release(t->store, handle);
}

void database_remove(struct database *db, struct record *r, uint64_t hash, bool aside)
{
    struct orphan value = record_orphan(r);
    database_unindex_fields(db, r, hash);
    uint8_t *outside_key = r->flags & RECORD_KEY_OUTSIDE ? record_outside(record_key_field(r)).ptr : NULL;
    forget(db, r, hash);
    mem_free(outside_key);
    orphan_free(&value, aside);
}

/* A key that has run out does not live on under a new value: it goes, as it would have gone after any look at it. */
static bool has_run_out(const struct database *db, const struct record *r)
{
    const struct keyspace *ks = db->keyspace;
    return !keyspace_only_hides(ks) && ks->hooks.now_ms && record_expired(r, ks->hooks.now_ms(ks->hooks.context));
}

/* It has an expiry, or perhaps its fields have: both asked at once, for this is on the path of every SET. */
static inline bool needs_a_look(const struct record *r)
{
    static const struct record mask = {.kind = ENCODING_STREAM << 4, .flags = RECORD_EXPIRES};
    uint16_t bits, asked;
    memcpy(&bits, &r->kind, sizeof bits);
    memcpy(&asked, &mask.kind, sizeof asked);
    return bits & asked;
}

/* Inserts or rewrites. The old value is freed last: the new one may have been taken from it. */
static struct record *set(struct database *db, struct bytes key, uint64_t hash, const struct record_part *value,
                          bool keep_expiry)
{
    struct table_slot slot;
    struct record *r = table_find(&db->table, hash, key, &slot);
    if (r && unlikely(needs_a_look(r))) {
        if ((r->flags & RECORD_EXPIRES) && has_run_out(db, r)) {
            database_expire(db, r, hash);
            r = NULL;
        } else {
            database_unindex_fields(db, r, hash);
        }
    }
    if (!r) {
        struct record_part key_part;
        record_part_key(&key_part, key);
        return insert(db, &key_part, hash, value, RECORD_NO_EXPIRY, access_clock_new(db->keyspace));
    }
    struct orphan old = record_orphan(r);
    int64_t expire_ms = keep_expiry ? record_expire_ms(r) : RECORD_NO_EXPIRY;
    r = rewrite(db, r, &slot, value, expire_ms, access_clock_after_write(db->keyspace, r));
    orphan_free(&old, true);
    return r;
}

/* --- strings --- */

struct record *database_set_integer(struct database *db, struct bytes key, uint64_t hash, int64_t value,
                                    bool keep_expiry)
{
    struct record_part part;
    record_part_integer(&part, value);
    return set(db, key, hash, &part, keep_expiry);
}

static struct record *set_bytes(struct database *db, struct bytes key, uint64_t hash, struct bytes value,
                                enum value_encoding encoding, bool keep_expiry)
{
    struct record_part part;
    record_part_string(&part, value, encoding, value_room(db, key));
    return set(db, key, hash, &part, keep_expiry);
}

static bool may_be_integer(struct bytes value)
{
    return value.len > 0 && value.len < I64_TEXT_MAX &&
           (value.ptr[0] == '-' || (value.ptr[0] >= '0' && value.ptr[0] <= '9'));
}

struct record *database_set_string(struct database *db, struct bytes key, uint64_t hash, struct bytes value,
                                   bool keep_expiry)
{
    int64_t integer;
    if (may_be_integer(value) && parse_i64(value, &integer) == 0)
        return database_set_integer(db, key, hash, integer, keep_expiry);
    return database_set_text(db, key, hash, value, keep_expiry);
}

struct record *database_set_text(struct database *db, struct bytes key, uint64_t hash, struct bytes value,
                                 bool keep_expiry)
{
    return set_bytes(db, key, hash, value, value.len <= EMBSTR_MAX ? ENCODING_EMBSTR : ENCODING_RAW, keep_expiry);
}

struct record *database_set_string_raw(struct database *db, struct bytes key, uint64_t hash, struct bytes value,
                                       bool keep_expiry)
{
    return set_bytes(db, key, hash, value, ENCODING_RAW, keep_expiry);
}

static size_t roomy(size_t len)
{
    return len < APPEND_DOUBLE_MAX ? len * 2 : len + APPEND_DOUBLE_MAX;
}

/* Resizes a string outside, whose record stays as it is. */
static void resize_outside(struct record *r, size_t len, uint8_t **data)
{
    struct outside o = record_outside(record_value_field(r));
    if (len > mem_size(o.ptr)) o.ptr = mem_realloc(o.ptr, roomy(len));
    if (len > o.len) memset(o.ptr + o.len, 0, len - o.len);
    o.len = len;
    struct record_part part;
    record_part_memory(&part, o.ptr, len);
    record_overwrite(r, &part);
    *data = o.ptr;
}

struct record *database_string_resize(struct database *db, struct record *r, size_t len, uint8_t **data)
{
    if (r->flags & RECORD_VALUE_OUTSIDE) {
        resize_outside(r, len, data);
        return r;
    }
    char scratch[I64_TEXT_MAX];
    uint8_t inside[STORE_BLOCK_MAX];
    struct bytes now = record_string(r, scratch);
    size_t kept = now.len < len ? now.len : len, room = value_room(db, record_key(r));
    bool fits = len <= room;
    uint8_t *content = fits ? inside : mem_alloc(now.len ? roomy(len) : len);
    memcpy(content, now.ptr, kept);
    memset(content + kept, 0, len - kept);
    struct record_part part;
    if (fits)
        record_part_string(&part, bytes_make(inside, len), ENCODING_RAW, room);
    else
        record_part_memory(&part, content, len);
    r = rewrite(db, r, NULL, &part, record_expire_ms(r), record_access_clock(r));
    *data = fits ? record_value_field(r) : content;
    return r;
}

/* --- objects and expiry --- */

struct record *database_set_object(struct database *db, struct bytes key, uint64_t hash, enum value_type type,
                                   enum value_encoding encoding, void *object, bool keep_expiry)
{
    struct record_part part;
    bool inside = record_part_object(&part, type, encoding, object, value_room(db, key));
    struct record *r = set(db, key, hash, &part, keep_expiry);
    if (inside) mem_free(object);
    database_index_fields(db, r, hash);
    return r;
}

struct record *database_keep_object(struct database *db, struct record *r, struct bytes key, uint64_t hash,
                                    enum value_type type, enum value_encoding encoding, void *object)
{
    if (!r) return database_set_object(db, key, hash, type, encoding, object, false);
    if (object == record_object(r) && encoding == record_encoding(r)) return r;
    struct record_part part;
    bool inside = record_part_object(&part, type, encoding, object, value_room(db, key));
    r = rewrite(db, r, NULL, &part, record_expire_ms(r), record_access_clock(r));
    if (inside) mem_free(object);
    return r;
}

struct record *database_set_expiry(struct database *db, struct record *r, int64_t expire_ms)
{
    struct record_part value;
    record_part_same_value(&value, r);
    return rewrite(db, r, NULL, &value, expire_ms, record_access_clock(r));
}

/* --- whole records --- */

bool database_delete(struct database *db, struct bytes key, uint64_t hash, bool aside)
{
    struct table_slot slot;
    struct record *r = table_find(&db->table, hash, key, &slot);
    if (!r) return false;
    database_remove(db, r, hash, aside);
    return true;
}

/* A value that fitted inside beside the old key may have to go outside beside a longer one. */
static void part_inside_copy(struct record_part *p, const struct record *r, size_t room)
{
    char scratch[I64_TEXT_MAX];
    if (record_type(r) == TYPE_STRING) {
        record_part_string(p, record_string(r, scratch), record_encoding(r), room);
        return;
    }
    void *object = record_object(r);
    if (record_value_len(r) > room) object = flat_object_copy(record_encoding(r), object, 0);
    record_part_object(p, record_type(r), record_encoding(r), object, room);
}

struct record *database_move(struct database *from, struct record *r, struct database *to, struct bytes key,
                             uint64_t hash)
{
    struct record_part key_part, value;
    record_part_key(&key_part, key);
    if (record_value_is_inside(r))
        part_inside_copy(&value, r, value_room(to, key));
    else
        record_part_same_value(&value, r);
    struct record *moved = insert(to, &key_part, hash, &value, record_expire_ms(r), record_access_clock(r));
    uint64_t old_hash = key_hash(record_key(r));
    database_unindex_fields(from, moved, old_hash);
    database_index_fields(to, moved, hash);
    uint8_t *outside_key = r->flags & RECORD_KEY_OUTSIDE ? record_outside(record_key_field(r)).ptr : NULL;
    forget(from, r, old_hash);
    mem_free(outside_key);
    return moved;
}

struct record *database_copy(struct record *r, struct database *to, struct bytes key, uint64_t hash)
{
    char scratch[I64_TEXT_MAX];
    struct record_part key_part, value;
    record_part_key(&key_part, key);
    if (record_is_integer(r)) {
        record_part_integer(&value, record_integer(r));
    } else if (record_value_is_inside(r)) {
        part_inside_copy(&value, r, value_room(to, key));
    } else if (record_type(r) == TYPE_STRING) {
        record_part_string(&value, record_string(r, scratch), record_encoding(r), value_room(to, key));
    } else {
        void *object = value_ops(record_type(r))->copy(record_object(r), record_encoding(r));
        record_part_object(&value, record_type(r), record_encoding(r), object, 0);
    }
    r = insert(to, &key_part, hash, &value, record_expire_ms(r), access_clock_new(to->keyspace));
    database_index_fields(to, r, hash);
    return r;
}
