/* Quicklist: nodes, ends and the whole. Server process; the snapshot child reads. */
#include "server/data/quicklist_node.h"

#include <limits.h>
#include <liblzf/lzf.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/data/listpack.h"

#define COUNTED_NODE_MAX_BYTES 8192 /* of a node limited by its number of elements */
#define PACK_LEAST_BYTES       48   /* smaller nodes are not worth packing */
#define PACK_LEAST_GAIN        8

/* --- limits --- */

static size_t fill_bytes(int fill)
{
    static const size_t classes[] = {4096, 8192, 16384, 32768, 65536};
    if (fill >= 0) return COUNTED_NODE_MAX_BYTES;
    return classes[fill < -5 ? 4 : -fill - 1];
}

static size_t fill_count(int fill)
{
    if (fill < 0) return INT_MAX;
    return fill ? (size_t)fill : 1;
}

bool quicklist_node_exceeds(int fill, size_t bytes, size_t count)
{
    return bytes > fill_bytes(fill) || count > fill_count(fill);
}

size_t quicklist_plain_above_bytes = SIZE_MAX;

bool quicklist_is_large(int fill, const struct packed_value *v)
{
    return v->ptr && (v->len > fill_bytes(fill) || v->len > quicklist_plain_above_bytes);
}

bool quicklist_node_accepts(const struct quicklist *ql, const struct quicklist_node *n, const struct packed_value *v)
{
    size_t more = (v->ptr ? v->len : 0) + QUICKLIST_ELEMENT_OVERHEAD;
    return !n->is_plain && !quicklist_node_exceeds(ql->fill, n->bytes + more, (size_t)n->count + 1);
}

/* --- packing --- */

void quicklist_node_unpack_to(const struct quicklist_node *n, uint8_t *out)
{
    CHECK(lzf_decompress(n->data, (unsigned)n->packed_bytes, out, (unsigned)n->bytes) == n->bytes);
}

void quicklist_node_unpack(struct quicklist_node *n)
{
    if (!n->packed_bytes) return;
    uint8_t *raw = mem_alloc(n->bytes);
    quicklist_node_unpack_to(n, raw);
    mem_free(n->data);
    n->data = raw;
    n->packed_bytes = 0;
}

static void pack(struct quicklist_node *n)
{
    if (n->packed_bytes || n->bytes < PACK_LEAST_BYTES || n->bytes > UINT_MAX) return;
    uint8_t *packed = mem_alloc(n->bytes);
    unsigned len = lzf_compress(n->data, (unsigned)n->bytes, packed, (unsigned)(n->bytes - PACK_LEAST_GAIN));
    if (!len) {
        mem_free(packed);
        return;
    }
    mem_free(n->data);
    n->data = mem_realloc(packed, len);
    n->packed_bytes = len;
}

static bool is_near_end(const struct quicklist *ql, const struct quicklist_node *n)
{
    const struct quicklist_node *front = n, *back = n;
    for (int i = 0; i < ql->compress_depth; i++) {
        front = front->prev;
        back = back->next;
        if (!front || !back) return true;
    }
    return false;
}

static void pack_if_inner(struct quicklist *ql, struct quicklist_node *n)
{
    if (n && !is_near_end(ql, n)) pack(n);
}

void quicklist_settle(struct quicklist *ql, struct quicklist_node *altered)
{
    if (ql->compress_depth <= 0) return;
    struct quicklist_node *front = ql->head, *back = ql->tail;
    for (int i = 0; i < ql->compress_depth && front; i++) {
        quicklist_node_unpack(front);
        quicklist_node_unpack(back);
        front = front->next;
        back = back->prev;
    }
    pack_if_inner(ql, front);
    pack_if_inner(ql, back);
    if (!altered) return;
    pack_if_inner(ql, altered->prev);
    pack_if_inner(ql, altered);
    pack_if_inner(ql, altered->next);
}

/* --- nodes --- */

static struct quicklist_node *node_new(uint8_t *data, size_t bytes, size_t count, bool is_plain)
{
    struct quicklist_node *n = mem_alloc(sizeof *n);
    CHECK(count <= INT_MAX);
    *n = (struct quicklist_node){.data = data, .bytes = bytes, .count = (uint32_t)count, .is_plain = is_plain};
    return n;
}

struct quicklist_node *quicklist_node_of_listpack(uint8_t *lp)
{
    return node_new(lp, listpack_bytes(lp), listpack_length(lp), false);
}

struct quicklist_node *quicklist_node_of_value(const struct quicklist *ql, const struct packed_value *v)
{
    if (!quicklist_is_large(ql->fill, v)) return quicklist_node_of_listpack(listpack_append(listpack_new(0), *v));
    return node_new(memcpy(mem_alloc(v->len), v->ptr, v->len), v->len, 1, true);
}

void quicklist_link(struct quicklist *ql, struct quicklist_node *n, struct quicklist_node *after)
{
    n->prev = after;
    n->next = after ? after->next : ql->head;
    *(n->prev ? &n->prev->next : &ql->head) = n;
    *(n->next ? &n->next->prev : &ql->tail) = n;
    ql->nodes++;
    ql->count += n->count;
}

void quicklist_unlink(struct quicklist *ql, struct quicklist_node *n)
{
    *(n->prev ? &n->prev->next : &ql->head) = n->next;
    *(n->next ? &n->next->prev : &ql->tail) = n->prev;
    ql->nodes--;
    ql->count -= n->count;
    mem_free(n->data);
    mem_free(n);
}

void quicklist_node_changed(struct quicklist *ql, struct quicklist_node *n, uint8_t *lp, ptrdiff_t elements)
{
    n->data = lp;
    n->bytes = listpack_bytes(lp);
    n->count = (uint32_t)(n->count + elements) & INT_MAX;
    ql->count += (size_t)elements;
}

void quicklist_node_push(struct quicklist *ql, struct quicklist_node *n, enum list_end end, struct packed_value v)
{
    uint8_t *lp = end == LIST_HEAD ? listpack_prepend(n->data, v) : listpack_append(n->data, v);
    quicklist_node_changed(ql, n, lp, 1);
}

/* --- ends --- */

static struct quicklist_node *end_node(const struct quicklist *ql, enum list_end end)
{
    return end == LIST_HEAD ? ql->head : ql->tail;
}

void quicklist_push(struct quicklist *ql, enum list_end end, struct packed_value value)
{
    struct quicklist_node *n = end_node(ql, end);
    if (likely(n && quicklist_node_accepts(ql, n, &value))) {
        quicklist_node_push(ql, n, end, value);
        return;
    }
    quicklist_link(ql, quicklist_node_of_value(ql, &value), end == LIST_HEAD ? NULL : n);
    quicklist_settle(ql, NULL);
}

struct packed_value quicklist_at_end(const struct quicklist *ql, enum list_end end)
{
    const struct quicklist_node *n = end_node(ql, end);
    if (n->is_plain) return packed_string(n->data, n->bytes);
    return listpack_get(end == LIST_HEAD ? listpack_first(n->data) : listpack_last(n->data));
}

void quicklist_drop(struct quicklist *ql, enum list_end end, size_t count)
{
    struct quicklist_node *n;
    size_t nodes = ql->nodes;
    while (count && (n = end_node(ql, end)) && n->count <= count) {
        count -= n->count;
        quicklist_unlink(ql, n);
    }
    if (ql->nodes != nodes) quicklist_settle(ql, NULL);
    if (!count || !(n = end_node(ql, end))) return;
    int64_t index = end == LIST_HEAD ? 0 : (int64_t)(n->count - count);
    quicklist_node_changed(ql, n, listpack_delete_range(n->data, index, count), -(ptrdiff_t)count);
}

/* --- the whole --- */

struct quicklist *quicklist_new(int fill, int compress_depth)
{
    struct quicklist *ql = mem_alloc(sizeof *ql);
    *ql = (struct quicklist){.fill = fill, .compress_depth = compress_depth};
    return ql;
}

void quicklist_free(struct quicklist *ql)
{
    for (struct quicklist_node *n = ql->head, *next; n; n = next) {
        next = n->next;
        mem_free(n->data);
        mem_free(n);
    }
    mem_free(ql);
}

struct quicklist *quicklist_copy(const struct quicklist *ql)
{
    struct quicklist *copy = quicklist_new(ql->fill, ql->compress_depth);
    for (const struct quicklist_node *n = ql->head; n; n = n->next) {
        size_t held = n->packed_bytes ? n->packed_bytes : n->bytes;
        struct quicklist_node *twin = node_new(memcpy(mem_alloc(held), n->data, held), n->bytes, n->count, n->is_plain);
        twin->packed_bytes = n->packed_bytes;
        quicklist_link(copy, twin, copy->tail);
    }
    return copy;
}

size_t quicklist_count(const struct quicklist *ql)
{
    return ql->count;
}

size_t quicklist_nodes(const struct quicklist *ql)
{
    return ql->nodes;
}

size_t quicklist_memory(const struct quicklist *ql, size_t samples)
{
    size_t seen = 0, bytes = 0;
    for (const struct quicklist_node *n = ql->head; n && (!samples || seen < samples); n = n->next, seen++)
        bytes += mem_size(n) + mem_size(n->data);
    if (seen && seen < ql->nodes) bytes = (size_t)((double)bytes / (double)seen * (double)ql->nodes);
    return mem_size(ql) + bytes;
}

void quicklist_append_listpack(struct quicklist *ql, uint8_t *lp)
{
    if (!listpack_first(lp)) {
        listpack_free(lp);
        return;
    }
    quicklist_link(ql, quicklist_node_of_listpack(lp), ql->tail);
    quicklist_settle(ql, NULL);
}

const uint8_t *quicklist_only_listpack(const struct quicklist *ql)
{
    return ql->nodes == 1 && !ql->head->is_plain ? ql->head->data : NULL;
}

uint8_t *quicklist_take_listpack(struct quicklist *ql)
{
    if (!quicklist_only_listpack(ql)) return NULL;
    uint8_t *lp = ql->head->data;
    ql->head->data = NULL;
    quicklist_free(ql);
    return lp;
}
