/* Hashes. Written field by field (04), which every Redis reads; read in all the forms Redis has had:
 *
 *   04  count(length) (field(string) value(string))*
 *   09  string: a zipmap
 *   0D  string: a ziplist of fields and values in turn
 *   10  string: a listpack of fields and values in turn
 *
 * Whatever the form, a hash is built up field by field and each field may come but once; only a listpack that may stay
 * one is taken as it is, once it has been checked in depth. */
#include "rdb/type_hash.h"

#include "rdb/distinct.h"
#include "rdb/format.h"
#include "rdb/packed_string.h"
#include "server/base/alloc.h"
#include "server/data/hash.h"
#include "server/data/ziplist.h"
#include "server/data/zipmap.h"

/* The file's word for how many fields will come is believed up to here. */
#define RESERVE_MOST ((uint64_t)64 * 1024)

/* --- save --- */

static uint8_t hash_type_byte(const struct record *r)
{
    (void)r;
    return RDB_TYPE_HASH;
}

static void hash_save(struct rdb_encoder *out, const struct record *r)
{
    struct hash h = {record_encoding(r), record_object(r)};
    struct hash_walk w;
    struct hash_pair pair;
    rdb_put_length(out, hash_length(&h));
    hash_walk_start(&w, &h);
    while (hash_walk_next(&w, &pair)) {
        rdb_put_packed(out, &pair.field);
        rdb_put_packed(out, &pair.value);
    }
}

/* --- load --- */

struct loading {
    struct hash hash;
    struct distinct seen;      /* fields, as long as the hash is packed */
    struct packed_value field; /* of packed forms: the one whose value comes next */
    bool at_value;
    size_t longest_bytes;
};

static void start(struct rdb_builder *builder, uint64_t pieces, struct hash hash)
{
    struct loading *l = mem_alloc(sizeof *l);
    l->hash = hash;
    l->at_value = false;
    l->longest_bytes = 0;
    distinct_init(&l->seen);
    builder->remaining = pieces;
    builder->object = l;
}

/* False: the field has come before. */
static bool add_pair(struct loading *l, const struct packed_value *field, const struct packed_value *value)
{
    if (l->hash.encoding == ENCODING_LISTPACK) {
        if (!distinct_add(&l->seen, *field)) return false;
        hash_add(&l->hash, field, value);
        return true;
    }
    char field_scratch[I64_TEXT_MAX], value_scratch[I64_TEXT_MAX];
    return hash_set(&l->hash, packed_text(field, field_scratch), packed_text(value, value_scratch));
}

static bool plain_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t offset = rdb_cursor_offset(in), count;
    if (!rdb_read_length(in, &count)) return false;
    if (count == 0) return rdb_bad(in, offset, "a hash without fields");
    bool packed = hash_packed_fits(count, 0, 0);
    start(builder, count, packed ? hash_new() : hash_new_table(count < RESERVE_MOST ? count : RESERVE_MOST));
    return true;
}

static bool plain_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t offset = rdb_cursor_offset(in);
    struct packed_value field, value;
    if (!rdb_read_packed(in, &field) || !rdb_read_packed(in, &value)) return false;
    return add_pair(builder->object, &field, &value) || rdb_bad(in, offset, "a hash has the same field twice");
}

static bool packed_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    (void)in;
    start(builder, 1, hash_new());
    return true;
}

/* One element of a packed form: a field, then its value. */
static bool add_element(void *arg, struct packed_value element)
{
    struct loading *l = arg;
    l->at_value = !l->at_value;
    if (!l->at_value) return add_pair(l, &l->field, &element);
    l->field = element;
    return true;
}

static bool check_end(struct rdb_cursor *in, const struct loading *l, uint64_t offset)
{
    if (l->at_value) return rdb_bad(in, offset, "a packed hash has a field without value");
    return hash_length(&l->hash) > 0 || rdb_bad(in, offset, "a hash without fields");
}

static bool ziplist_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    uint64_t offset = rdb_cursor_offset(in);
    struct bytes ziplist;
    if (!rdb_read_bytes(in, &ziplist)) return false;
    if (!ziplist_walk(ziplist, add_element, l)) return rdb_bad(in, offset, "a hash's ziplist is broken");
    return check_end(in, l, offset);
}

static bool add_zipmap_pair(void *arg, struct bytes field, struct bytes value)
{
    struct packed_value packed_field = packed_from(field), packed = packed_from(value);
    return add_pair(arg, &packed_field, &packed);
}

static bool zipmap_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    uint64_t offset = rdb_cursor_offset(in);
    struct bytes zipmap;
    if (!rdb_read_bytes(in, &zipmap)) return false;
    if (!zipmap_walk(zipmap, add_zipmap_pair, l)) return rdb_bad(in, offset, "a hash's zipmap is broken");
    return check_end(in, l, offset);
}

/* Checks an element without taking it. */
static bool check_element(void *arg, struct packed_value element)
{
    struct loading *l = arg;
    if (element.len > l->longest_bytes) l->longest_bytes = element.len;
    l->at_value = !l->at_value;
    return !l->at_value || distinct_add(&l->seen, element);
}

static bool listpack_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    uint64_t offset = rdb_cursor_offset(in);
    struct bytes listpack;
    if (!rdb_read_bytes(in, &listpack)) return false;
    if (!listpack_validate(listpack, check_element, l)) return rdb_bad(in, offset, "a hash's listpack is broken");
    if (l->at_value) return check_end(in, l, offset);
    if (hash_packed_fits(l->seen.count, l->longest_bytes, listpack.len)) {
        hash_free(&l->hash);
        l->hash = (struct hash){ENCODING_LISTPACK, listpack_copy(listpack.ptr)};
    } else {
        hash_free(&l->hash);
        l->hash = hash_new_table(l->seen.count);
        listpack_validate(listpack, add_element, l);
    }
    return check_end(in, l, offset);
}

static void loading_free(struct loading *l)
{
    distinct_free(&l->seen);
    mem_free(l);
}

static struct record *hash_finish(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash)
{
    struct loading *l = builder->object;
    struct hash loaded = l->hash;
    loading_free(l);
    return database_set_object(db, key, hash, TYPE_HASH, loaded.encoding, loaded.object, false);
}

static void hash_abort(struct rdb_builder *builder)
{
    struct loading *l = builder->object;
    hash_free(&l->hash);
    loading_free(l);
}

const struct rdb_type_loader rdb_hash_loader = {plain_begin, plain_element, hash_finish, hash_abort};
const struct rdb_type_loader rdb_hash_zipmap_loader = {packed_begin, zipmap_element, hash_finish, hash_abort};
const struct rdb_type_loader rdb_hash_ziplist_loader = {packed_begin, ziplist_element, hash_finish, hash_abort};
const struct rdb_type_loader rdb_hash_listpack_loader = {packed_begin, listpack_element, hash_finish, hash_abort};
const struct rdb_type_saver rdb_hash_saver = {hash_type_byte, hash_save};
