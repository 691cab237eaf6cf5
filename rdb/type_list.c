/* Lists in an RDB. Server process, snapshot child, checker. Written element by element (01), which every Redis reads;
 * read in all the forms Redis has had:
 *
 *   01  count(length) string*                         one string an element
 *   0A  string: a ziplist
 *   0E  count(length) string*                         one ziplist a node
 *   12  count(length) (container(length) string)*     one node each: container 1 an element of its own, 2 a listpack
 *
 * A ziplist's or listpack's elements are checked in depth before they join the list. */
#include "rdb/type_list.h"

#include "rdb/elements.h"
#include "rdb/format.h"
#include "rdb/packed_string.h"
#include "server/base/alloc.h"
#include "server/data/list_builder.h"
#include "server/data/settings.h"
#include "server/data/ziplist.h"

enum container { CONTAINER_PLAIN = 1, CONTAINER_PACKED = 2 };

/* --- save --- */

static uint8_t list_type(const struct record *r, enum rdb_write_for write_for)
{
    (void)r, (void)write_for;
    return RDB_TYPE_LIST;
}

static void put_element(void *out, struct packed_value value)
{
    rdb_put_packed(out, &value);
}

static void list_save(struct rdb_encoder *out, const struct record *r)
{
    struct list_value l = {record_encoding(r), record_object(r), record_object_inside(r)};
    size_t length = list_length(&l);
    rdb_put_length(out, length);
    list_walk(&l, 0, length, put_element, out);
}

/* --- load --- */

static void start(struct rdb_builder *builder, size_t expected)
{
    struct list_builder *list = mem_alloc(sizeof *list);
    list_builder_init(list, expected);
    builder->object = list;
}

static bool counted_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    if (!rdb_read_count(in, builder)) return false;
    start(builder, rdb_believed_count(in, builder->remaining));
    return true;
}

static bool single_begin(struct rdb_cursor *in, struct rdb_builder *builder)
{
    (void)in;
    builder->remaining = 1;
    start(builder, 0);
    return true;
}

static bool push(void *list, struct packed_value element)
{
    list_builder_add(list, element);
    return true;
}

static bool string_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct packed_value element;
    return rdb_read_packed(in, &element) && push(builder->object, element);
}

/* A piece may have no elements, but one of them must. */
static bool note_piece(struct rdb_builder *builder)
{
    const struct list_builder *list = builder->object;
    builder->empty = builder->remaining == 1 && list->count == 0;
    return true;
}

static bool ziplist_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    struct rdb_elements ziplist;
    return rdb_read_elements(in, ziplist_walk, push, builder->object, "a list's ziplist", &ziplist) &&
           note_piece(builder);
}

/* A node that would be too large here is taken apart. */
static bool read_listpack_node(struct rdb_cursor *in, struct list_builder *list)
{
    struct rdb_elements node;
    unsigned flaws_before = in->flaws;
    if (!rdb_read_elements(in, listpack_validate, NULL, NULL, "a list's listpack", &node)) return false;
    bool whole = in->flaws == flaws_before;
    size_t count = whole ? listpack_length(node.packed.ptr) : 0;
    if (whole && !quicklist_node_exceeds(data_settings->list_max_listpack_size, node.packed.len, count))
        list_builder_add_node(list, rdb_listpack_of(&node));
    else
        rdb_take_elements_again(node.packed, push, list);
    return true;
}

static bool node_element(struct rdb_cursor *in, struct rdb_builder *builder)
{
    uint64_t offset = rdb_cursor_offset(in), container;
    if (!rdb_read_length(in, &container)) return false;
    if (container == CONTAINER_PLAIN) return string_element(in, builder);
    if (container != CONTAINER_PACKED)
        return rdb_bad(in, offset, "unknown list container %llu", (unsigned long long)container);
    return read_listpack_node(in, builder->object) && note_piece(builder);
}

static struct record *list_finish(struct rdb_builder *builder, struct database *db, struct bytes key, uint64_t hash)
{
    struct list_value l = list_builder_finish(builder->object);
    mem_free(builder->object);
    return database_set_object(db, key, hash, TYPE_LIST, l.encoding, l.object, false);
}

static void list_abort(struct rdb_builder *builder)
{
    list_builder_free(builder->object);
    mem_free(builder->object);
}

const struct rdb_type_loader rdb_list_loader = {counted_begin, string_element, list_finish, list_abort};
const struct rdb_type_loader rdb_list_ziplist_loader = {single_begin, ziplist_element, list_finish, list_abort};
const struct rdb_type_loader rdb_list_quicklist_loader = {counted_begin, ziplist_element, list_finish, list_abort};
const struct rdb_type_loader rdb_list_quicklist_2_loader = {counted_begin, node_element, list_finish, list_abort};
const struct rdb_type_saver rdb_list_saver = {list_type, list_save};
