/* Hashes whose fields expire, in an RDB. Server process, snapshot child, checker. Redis 8 and Valkey 9 have forms of
 * their own, and nobody before them has any (type numbers: rdb/format.h):
 *
 *   Redis   18  least expiry(8 bytes, ms) count(length) (ttl(length) field(string) value(string))*
 *               the field's expiry is the least one + ttl - 1; ttl 0: it has none
 *   Redis   19  least expiry(8 bytes, ms) string: a listpack of fields, values and expiries in turn, by ascending
 *               expiry, then those without, which is 0
 *   Valkey  16  count(length) (field(string) value(string) expiry(8 bytes, ms))*; -1: it has none
 *
 * as was seen in files of Redis 8.0.6 and Valkey 9.1.2. Times are Unix time. A packed one is written as it stands, a
 * table field by field. The least expiry of a listpack says nothing that does not stand in it, and may be that of a
 * field that has none any more: it is passed over. A hash may turn out to have no field with an expiry, and is then one
 * like any other. Dead fields are loaded like the rest: who may remove them does, and tells replicas. */
#include "rdb/type_hash_timed.h"

#include "rdb/distinct.h"
#include "rdb/elements.h"
#include "rdb/format.h"
#include "rdb/packed_string.h"
#include "server/base/alloc.h"
#include "server/base/check.h"

#define VALKEY_NO_EXPIRY (-1)

/* --- save --- */

uint8_t rdb_timed_hash_type(const struct hash *h, enum rdb_write_for write_for)
{
    switch (write_for) {
    case RDB_FOR_AUTO:
    case RDB_FOR_8: return h->encoding == ENCODING_LISTPACK_TIMED ? RDB_TYPE_HASH_LISTPACK_EX : RDB_TYPE_HASH_METADATA;
    case RDB_FOR_VALKEY_9: return RDB_TYPE_VALKEY_HASH_2;
    case RDB_FOR_6_2:
    case RDB_FOR_7_0:
    case RDB_FOR_7_2: break;
    }
    return RDB_TYPES;
}

/* The next field with the expiry that it has, in this type's words. */
static void put_fields(struct rdb_encoder *out, const struct hash *h, int64_t least_ms, bool valkey)
{
    struct hash_walk w;
    struct hash_pair pair;
    int64_t expire_ms;
    hash_walk_start(&w, h);
    while (hash_walk_next_timed(&w, &pair, &expire_ms)) {
        bool expires = expire_ms != HASH_NO_EXPIRY;
        if (!valkey) rdb_put_length(out, expires ? (uint64_t)(expire_ms - least_ms) + 1 : 0);
        rdb_put_packed(out, &pair.field);
        rdb_put_packed(out, &pair.value);
        if (valkey) rdb_put_u64(out, (uint64_t)(expires ? expire_ms : VALKEY_NO_EXPIRY));
    }
}

void rdb_timed_hash_save(struct rdb_encoder *out, const struct hash *h)
{
    int64_t least_ms = hash_next_expiry(h);
    switch (rdb_timed_hash_type(h, out->write_for)) {
    case RDB_TYPE_HASH_LISTPACK_EX:
        rdb_put_u64(out, (uint64_t)least_ms);
        rdb_put_string(out, bytes_make(h->object, listpack_bytes(h->object)));
        return;
    case RDB_TYPE_HASH_METADATA:
        rdb_put_u64(out, (uint64_t)least_ms);
        rdb_put_length(out, hash_length(h));
        put_fields(out, h, least_ms, false);
        return;
    case RDB_TYPE_VALKEY_HASH_2:
        rdb_put_length(out, hash_length(h));
        put_fields(out, h, least_ms, true);
        return;
    }
    UNREACHABLE();
}

/* --- load --- */

struct loading {
    struct hash hash;
    uint64_t least_ms;
    /* While a listpack is checked, or taken: */
    struct rdb_cursor *in;
    uint64_t offset;
    struct distinct seen; /* its fields */
    struct packed_value field, value;
    unsigned part; /* of a triple: what comes next */
    size_t longest_bytes;
    uint64_t last_rank; /* of the field before */
    bool ordered, expiring;
};

static struct loading *start(struct rdb_builder *builder, struct hash hash)
{
    struct loading *l = mem_calloc(1, sizeof *l);
    l->hash = hash;
    distinct_init(&l->seen);
    builder->object = l;
    return l;
}

static bool counted_begin(struct rdb_cursor *in, struct rdb_builder *builder, uint64_t least_ms)
{
    if (!rdb_read_count(in, builder)) return false;
    uint64_t count = builder->remaining;
    bool packed = hash_packed_fits(count, 0, 0);
    start(builder, packed ? hash_new() : hash_new_table(rdb_believed_count(in, count)))->least_ms = least_ms;
    return true;
}

static bool add_field(struct rdb_cursor *in, uint64_t offset, struct rdb_builder *builder,
                      const struct packed_value *field, const struct packed_value *value, int64_t expire_ms)
{
    struct loading *l = builder->object;
    builder->field_expiry |= expire_ms != HASH_NO_EXPIRY;
    return hash_add_with_expiry(&l->hash, field, value, expire_ms) ||
           rdb_flaw(in, offset, "a hash has the same field twice");
}

/* Time 0 is no time: what it was to mean is long past. */
static int64_t expiry_at(uint64_t ms)
{
    return ms ? (int64_t)ms : 1;
}

static bool metadata_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t offset = rdb_cursor_offset(in), least_ms;
    if (!rdb_read_u64(in, &least_ms)) return false;
    if (least_ms > INT64_MAX) return rdb_bad(in, offset, "a hash's least expiry is negative");
    return counted_begin(in, builder, least_ms);
}

static bool metadata_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    const struct loading *l = builder->object;
    uint64_t offset = rdb_cursor_offset(in), ttl;
    struct packed_value field, value;
    if (!rdb_read_length(in, &ttl)) return false;
    if (ttl && ttl - 1 > INT64_MAX - l->least_ms) return rdb_bad(in, offset, "a hash's field expires beyond all times");
    if (!rdb_read_packed(in, &field) || !rdb_read_packed(in, &value)) return false;
    int64_t expire_ms = ttl ? expiry_at(l->least_ms + ttl - 1) : HASH_NO_EXPIRY;
    return add_field(in, offset, builder, &field, &value, expire_ms);
}

static bool valkey_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    return counted_begin(in, builder, 0);
}

static bool valkey_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t offset = rdb_cursor_offset(in), ms;
    struct packed_value field, value;
    if (!rdb_read_packed(in, &field) || !rdb_read_packed(in, &value) || !rdb_read_u64(in, &ms)) return false;
    bool expires = (int64_t)ms != VALKEY_NO_EXPIRY;
    if (expires && ms > INT64_MAX) return rdb_bad(in, offset, "a hash's field expires at a negative time");
    return add_field(in, offset, builder, &field, &value, expires ? expiry_at(ms) : HASH_NO_EXPIRY);
}

static bool packed_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t least_ms;
    if (!rdb_read_u64(in, &least_ms)) return false;
    builder->remaining = 1;
    start(builder, hash_new());
    return true;
}

/* The next of a triple. True: it is whole, with this expiry. */
static bool take_part(struct loading *l, struct packed_value element)
{
    if (l->part == 0) l->field = element;
    if (l->part == 1) l->value = element;
    l->part = (l->part + 1) % 3;
    return l->part == 0;
}

static void measure(struct loading *l, const struct packed_value *v)
{
    size_t bytes = packed_string_bytes(v);
    if (bytes > l->longest_bytes) l->longest_bytes = bytes;
}

/* Checks a triple without taking it. */
static bool check_part(void *arg, struct packed_value element)
{
    struct loading *l = arg;
    if (!take_part(l, element)) return true;
    if (element.ptr || element.integer < 0) return false;
    measure(l, &l->field);
    measure(l, &l->value);
    bool expires = element.integer != HASH_NO_EXPIRY;
    /* Who has none stands behind all who have one. */
    uint64_t rank = expires ? (uint64_t)element.integer : UINT64_MAX;
    l->ordered &= rank >= l->last_rank;
    l->last_rank = rank;
    l->expiring |= expires;
    return distinct_add(&l->seen, l->field) || rdb_flaw(l->in, l->offset, "a hash has the same field twice");
}

static bool add_part(void *arg, struct packed_value element)
{
    struct loading *l = arg;
    if (take_part(l, element)) hash_add_with_expiry(&l->hash, &l->field, &l->value, element.integer);
    return true;
}

static bool packed_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    struct rdb_elements listpack;
    l->in = in;
    l->offset = rdb_cursor_offset(in);
    l->ordered = true;
    if (!rdb_read_elements(in, listpack_validate, check_part, l, "a listpack of a hash's fields that expire",
                           &listpack))
        return false;
    if (l->part && !rdb_flaw(in, l->offset, "a hash's listpack ends within a field")) return false;
    size_t fields = l->seen.count;
    builder->empty = fields == 0;
    builder->field_expiry = l->expiring;
    hash_free(&l->hash);
    bool fits = hash_packed_fits(fields, l->longest_bytes, listpack.packed.len);
    if (fits && l->ordered && l->expiring && !in->flaws) {
        l->hash = (struct hash){.encoding = ENCODING_LISTPACK_TIMED, .object = rdb_listpack_of(&listpack)};
        return true;
    }
    l->hash = fits ? hash_new() : hash_new_table(fields);
    l->part = 0;
    rdb_take_elements_again(listpack.packed, add_part, l);
    return true;
}

static void loading_free(struct loading *l)
{
    distinct_free(&l->seen);
    mem_free(l);
}

static struct record *timed_finish(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash)
{
    struct loading *l = builder->object;
    struct hash loaded = l->hash;
    loading_free(l);
    return database_set_object(db, key, hash, TYPE_HASH, loaded.encoding, loaded.object, false);
}

static void timed_abort(struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    hash_free(&l->hash);
    loading_free(l);
}

const struct rdb_type_loader rdb_hash_metadata_loader = {metadata_begin, metadata_element, timed_finish, timed_abort};
const struct rdb_type_loader rdb_hash_listpack_ex_loader = {packed_begin, packed_element, timed_finish, timed_abort};
const struct rdb_type_loader rdb_valkey_hash_2_loader = {valkey_begin, valkey_element, timed_finish, timed_abort};
