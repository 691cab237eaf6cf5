/* Hashes in an RDB. Server process, snapshot child, checker. Written field by field (04), which every Redis reads; read
 * in all the forms Redis has had:
 *
 *   04  count(length) (field(string) value(string))*
 *   09  string: a zipmap
 *   0D  string: a ziplist of fields and values in turn
 *   10  string: a listpack of fields and values in turn
 *
 * Whatever the form, a hash is built up field by field and each field may come but once; only a listpack that may stay
 * one is taken as it is, once it has been checked in depth. A field that comes twice in 04 or 10 is a flaw: the second
 * is left out. Those whose fields expire: type_hash_timed.c. */
#include "rdb/type_hash.h"

#include "rdb/distinct.h"
#include "rdb/elements.h"
#include "rdb/format.h"
#include "rdb/packed_string.h"
#include "rdb/type_hash_timed.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/data/hash.h"
#include "server/data/listpack.h"
#include "server/data/ziplist.h"
#include "server/data/zipmap.h"

/* --- save --- */

static struct hash hash_of(const struct record *r)
{
    return (struct hash){record_encoding(r), record_object(r), record_object_inside(r), 0};
}

static uint8_t hash_type(const struct record *r, enum rdb_write_for write_for)
{
    struct hash h = hash_of(r);
    return unlikely(hash_is_timed(&h)) ? rdb_timed_hash_type(&h, write_for) : RDB_TYPE_HASH;
}

static void hash_save(struct rdb_encoder *out, const struct record *r)
{
    struct hash h = hash_of(r);
    struct hash_walk w;
    struct hash_pair pair;
    if (unlikely(hash_is_timed(&h))) return rdb_timed_hash_save(out, &h);
    rdb_put_length(out, hash_length(&h));
    hash_walk_start(&w, &h);
    while (hash_walk_next(&w, &pair)) {
        rdb_put_packed(out, &pair.field);
        rdb_put_packed(out, &pair.value);
    }
}

/* --- load --- */

#define PAIR_GUESS_BYTES 20 /* what a short field and value take in a listpack */

struct loading {
    struct hash hash;
    struct distinct seen;         /* fields, as long as the hash is packed */
    struct listpack_writer pairs; /* of a hash that is packed so far: it has no object yet */
    size_t longest_bytes;
    struct rdb_cursor *in; /* while a listpack is checked, which stands at offset */
    uint64_t offset;
};

/* announced: 0 where it is not. */
static void start(struct rdb_builder *builder, uint64_t announced, size_t believed)
{
    struct loading *l = mem_alloc(sizeof *l);
    l->longest_bytes = 0;
    distinct_init(&l->seen);
    builder->object = l;
    if (hash_packed_fits(announced, 0, 0)) {
        l->hash = (struct hash){.encoding = ENCODING_LISTPACK};
        listpack_write_begin(&l->pairs, believed * PAIR_GUESS_BYTES);
    } else {
        l->hash = hash_new_table(believed);
    }
}

static bool is_written(const struct loading *l)
{
    return !l->hash.object;
}

static struct hash *whole_hash(struct loading *l)
{
    if (is_written(l)) l->hash.object = listpack_write_end(&l->pairs);
    return &l->hash;
}

/* It need not be looked for: the field is new. */
static void add_new_pair(struct loading *l, const struct packed_value *field, const struct packed_value *value)
{
    size_t field_bytes = packed_string_bytes(field), value_bytes = packed_string_bytes(value);
    size_t longest = field_bytes > value_bytes ? field_bytes : value_bytes;
    size_t total = listpack_written_bytes(&l->pairs) + field_bytes + value_bytes;
    if (!is_written(l) || !hash_packed_fits(l->seen.count, longest, total)) {
        hash_add(whole_hash(l), field, value); /* makes it a table */
        return;
    }
    listpack_write(&l->pairs, *field);
    listpack_write(&l->pairs, *value);
}

/* False: the field has come before. */
static bool add_pair(void *arg, const struct packed_value *field, const struct packed_value *value)
{
    struct loading *l = arg;
    if (l->hash.encoding != ENCODING_LISTPACK) return hash_add_to_table(&l->hash, field, value);
    if (!distinct_add(&l->seen, *field)) return false;
    add_new_pair(l, field, value);
    return true;
}

static bool plain_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    if (!rdb_read_count(in, builder)) return false;
    start(builder, builder->remaining, rdb_believed_count(in, builder->remaining));
    return true;
}

static bool plain_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t offset = rdb_cursor_offset(in);
    struct packed_value field, value;
    if (!rdb_read_packed(in, &field) || !rdb_read_packed(in, &value)) return false;
    return add_pair(builder->object, &field, &value) || rdb_flaw(in, offset, "a hash has the same field twice");
}

static bool packed_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    (void)in;
    builder->remaining = 1;
    start(builder, 0, 0);
    return true;
}

static bool is_empty(const struct loading *l)
{
    return is_written(l) ? l->pairs.count == 0 : hash_length(&l->hash) == 0;
}

static bool ziplist_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    struct rdb_elements ziplist;
    if (!rdb_read_pairs(in, ziplist_walk, add_pair, l, "a hash's ziplist", &ziplist)) return false;
    builder->empty = is_empty(l);
    return true;
}

static bool add_zipmap_pair(void *arg, struct bytes field, struct bytes value)
{
    struct packed_value packed_field = packed_from(field), packed = packed_from(value);
    return add_pair(arg, &packed_field, &packed);
}

/* Redis takes a zipmap without fields for a broken one. */
static bool zipmap_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    uint64_t offset = rdb_cursor_offset(in);
    struct bytes zipmap;
    if (!rdb_read_bytes(in, &zipmap)) return false;
    bool whole = zipmap_walk(zipmap, add_zipmap_pair, l) && !is_empty(l);
    return whole || rdb_bad(in, offset, "a hash's zipmap is broken");
}

/* Checks a pair without taking it. */
static bool check_pair(void *arg, const struct packed_value *field, const struct packed_value *value)
{
    struct loading *l = arg;
    size_t field_bytes = packed_string_bytes(field), value_bytes = packed_string_bytes(value);
    if (field_bytes > l->longest_bytes) l->longest_bytes = field_bytes;
    if (value_bytes > l->longest_bytes) l->longest_bytes = value_bytes;
    return distinct_add(&l->seen, *field) || rdb_flaw(l->in, l->offset, "a hash has the same field twice");
}

static bool add_pair_once(void *arg, const struct packed_value *field, const struct packed_value *value)
{
    add_pair(arg, field, value);
    return true;
}

static bool listpack_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    struct rdb_elements listpack;
    l->in = in;
    l->offset = rdb_cursor_offset(in);
    if (!rdb_read_pairs(in, listpack_validate, check_pair, l, "a hash's listpack", &listpack)) return false;
    size_t fields = l->seen.count;
    builder->empty = fields == 0;
    bool fits = hash_packed_fits(fields, l->longest_bytes, listpack.packed.len);
    if (fits && !in->flaws) {
        listpack_write_abort(&l->pairs);
        l->hash = (struct hash){.encoding = ENCODING_LISTPACK, .object = rdb_listpack_of(&listpack)};
        return true;
    }
    distinct_free(&l->seen);
    distinct_init(&l->seen);
    if (!fits) {
        listpack_write_abort(&l->pairs);
        l->hash = hash_new_table(fields);
    }
    rdb_take_pairs_again(listpack.packed, add_pair_once, l);
    return true;
}

static void loading_free(struct loading *l)
{
    distinct_free(&l->seen);
    mem_free(l);
}

static struct record *hash_finish(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash)
{
    struct loading *l = builder->object;
    struct hash loaded = *whole_hash(l);
    loading_free(l);
    return database_set_object(db, key, hash, TYPE_HASH, loaded.encoding, loaded.object, false);
}

static void hash_abort(struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    if (is_written(l))
        listpack_write_abort(&l->pairs);
    else
        hash_free(&l->hash);
    loading_free(l);
}

const struct rdb_type_loader rdb_hash_loader = {plain_begin, plain_element, hash_finish, hash_abort};
const struct rdb_type_loader rdb_hash_zipmap_loader = {packed_begin, zipmap_element, hash_finish, hash_abort};
const struct rdb_type_loader rdb_hash_ziplist_loader = {packed_begin, ziplist_element, hash_finish, hash_abort};
const struct rdb_type_loader rdb_hash_listpack_loader = {packed_begin, listpack_element, hash_finish, hash_abort};
const struct rdb_type_saver rdb_hash_saver = {hash_type, hash_save};
