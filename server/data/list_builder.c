/* Building lists. Server process, and redis-check-rdb. */
#include "server/data/list_builder.h"

#include "server/data/quicklist_node.h"
#include "server/data/settings.h"

#define ELEMENT_GUESS_BYTES 12   /* what a short element takes in a listpack */
#define NODE_GUESS_BYTES    8192 /* what a node is given at most before it has proven that it needs more */

void list_builder_init(struct list_builder *b, size_t expected)
{
    *b = (struct list_builder){.expected = expected};
}

void list_builder_free(struct list_builder *b)
{
    if (b->open) listpack_write_abort(&b->node);
    if (b->list) quicklist_free(b->list);
}

static struct quicklist *list_of(struct list_builder *b)
{
    if (!b->list) b->list = quicklist_new(data_settings->list_max_listpack_size, data_settings->list_compress_depth);
    return b->list;
}

static void close_node(struct list_builder *b)
{
    if (!b->open) return;
    quicklist_append_listpack(list_of(b), listpack_write_end(&b->node));
    b->open = false;
}

static void open_node(struct list_builder *b)
{
    int fill = data_settings->list_max_listpack_size;
    size_t elements = fill > 0 && (size_t)fill < b->expected ? (size_t)fill : b->expected;
    size_t room = elements * ELEMENT_GUESS_BYTES;
    listpack_write_begin(&b->node, room < NODE_GUESS_BYTES ? room : NODE_GUESS_BYTES);
    b->open = true;
}

/* What quicklist_node_accepts() says of a node of the list. */
static bool node_accepts(const struct list_builder *b, const struct packed_value *v)
{
    size_t more = packed_string_bytes(v) + QUICKLIST_ELEMENT_OVERHEAD;
    return !quicklist_node_exceeds(data_settings->list_max_listpack_size, listpack_written_bytes(&b->node) + more,
                                   b->node.count + 1);
}

void list_builder_add(struct list_builder *b, struct packed_value value)
{
    b->count++;
    if (b->expected) b->expected--;
    if (b->open && !node_accepts(b, &value)) close_node(b);
    if (!b->open && quicklist_is_large(data_settings->list_max_listpack_size, &value)) {
        quicklist_push(list_of(b), LIST_TAIL, value);
        return;
    }
    if (!b->open) open_node(b);
    listpack_write(&b->node, value);
}

void list_builder_add_node(struct list_builder *b, uint8_t *listpack)
{
    size_t count = listpack_length(listpack);
    close_node(b);
    b->count += count;
    b->expected -= count < b->expected ? count : b->expected;
    quicklist_append_listpack(list_of(b), listpack);
}

/* A node that is all of the list, as list_from_quicklist() has it. */
static bool is_a_listpack(const struct list_builder *b)
{
    int fill = data_settings->list_max_listpack_size;
    size_t bytes = fill < 0 ? listpack_written_bytes(&b->node) : 0;
    return b->open && !b->list && !quicklist_node_exceeds(fill, bytes, b->node.count);
}

struct list_value list_builder_finish(struct list_builder *b)
{
    if (is_a_listpack(b))
        return (struct list_value){.encoding = ENCODING_LISTPACK, .object = listpack_write_end(&b->node)};
    close_node(b);
    return list_from_quicklist(list_of(b));
}
