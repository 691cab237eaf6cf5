/* Lists. Written element by element (01), which every Redis reads; read in all the forms Redis has had:
 *
 *   01  count(length) string*                         one string an element
 *   0A  string: a ziplist
 *   0E  count(length) string*                         one ziplist a node
 *   12  count(length) (container(length) string)*     one node each: container 1 an element of its own, 2 a listpack
 *
 * A ziplist's or listpack's elements are checked in depth before they join the list. */
#include "rdb/type_list.h"

#include "rdb/format.h"
#include "server/data/list.h"
#include "server/data/listpack.h"
#include "server/data/settings.h"
#include "server/data/ziplist.h"

enum container { CONTAINER_PLAIN = 1, CONTAINER_PACKED = 2 };

/* --- save --- */

static uint8_t list_type_byte(const struct record *r)
{
    (void)r;
    return RDB_TYPE_LIST;
}

static void put_element(void *out, struct packed_value value)
{
    if (value.ptr)
        rdb_put_string(out, bytes_make(value.ptr, value.len));
    else
        rdb_put_integer(out, value.integer);
}

static void list_save(struct rdb_encoder *out, const struct record *r)
{
    struct list_value l = {record_encoding(r), record_object(r)};
    size_t length = list_length(&l);
    rdb_put_length(out, length);
    list_walk(&l, 0, length, put_element, out);
}

/* --- load --- */

static void start_list(struct rdb_builder *builder, uint64_t pieces)
{
    builder->remaining = pieces;
    builder->object = quicklist_new(data_settings->list_max_listpack_size, data_settings->list_compress_depth);
}

static bool counted_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t offset = rdb_cursor_offset(in), count;
    if (!rdb_read_length(in, &count)) return false;
    if (count == 0) return rdb_bad(in, offset, "a list without elements");
    start_list(builder, count);
    return true;
}

static bool single_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    (void)in;
    start_list(builder, 1);
    return true;
}

static bool string_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct rdb_string string;
    if (!rdb_read_string(in, &string)) return false;
    quicklist_push(builder->object, LIST_TAIL,
                   string.is_integer ? packed_integer(string.integer) : packed_from(string.bytes));
    return true;
}

/* Pieces may be empty, the list may not. */
static bool check_end(struct rdb_cursor *in, const struct rdb_builder *builder, uint64_t offset)
{
    if (builder->remaining > 1 || quicklist_count(builder->object)) return true;
    return rdb_bad(in, offset, "a list without elements");
}

static bool push_element(void *quicklist, struct packed_value value)
{
    quicklist_push(quicklist, LIST_TAIL, value);
    return true;
}

static bool ziplist_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t offset = rdb_cursor_offset(in);
    struct bytes ziplist;
    if (!rdb_read_bytes(in, &ziplist)) return false;
    if (!ziplist_walk(ziplist, push_element, builder->object)) return rdb_bad(in, offset, "a list's ziplist is broken");
    return check_end(in, builder, offset);
}

/* A node that would be too large here is taken apart. */
static bool append_node(struct quicklist *ql, struct bytes listpack)
{
    if (!listpack_validate(listpack, NULL, NULL)) return false;
    if (quicklist_node_exceeds(data_settings->list_max_listpack_size, listpack.len, listpack_length(listpack.ptr)))
        return listpack_validate(listpack, push_element, ql);
    quicklist_append_listpack(ql, listpack_copy(listpack.ptr));
    return true;
}

static bool node_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t offset = rdb_cursor_offset(in), container;
    struct bytes node;
    if (!rdb_read_length(in, &container)) return false;
    if (container != CONTAINER_PLAIN && container != CONTAINER_PACKED)
        return rdb_bad(in, offset, "unknown list container %llu", (unsigned long long)container);
    if (!rdb_read_bytes(in, &node)) return false;
    if (container == CONTAINER_PLAIN)
        push_element(builder->object, packed_from(node));
    else if (!append_node(builder->object, node))
        return rdb_bad(in, offset, "a list's listpack is broken");
    return check_end(in, builder, offset);
}

static struct record *list_finish(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash)
{
    struct list_value l = list_from_quicklist(builder->object);
    return database_set_object(db, key, hash, TYPE_LIST, l.encoding, l.object, false);
}

static void list_abort(struct rdb_builder *builder)
{
    quicklist_free(builder->object);
}

const struct rdb_type_loader rdb_list_loader = {counted_begin, string_element, list_finish, list_abort};
const struct rdb_type_loader rdb_list_ziplist_loader = {single_begin, ziplist_element, list_finish, list_abort};
const struct rdb_type_loader rdb_list_quicklist_loader = {counted_begin, ziplist_element, list_finish, list_abort};
const struct rdb_type_loader rdb_list_quicklist_2_loader = {counted_begin, node_element, list_finish, list_abort};
const struct rdb_type_saver rdb_list_saver = {list_type_byte, list_save};
