/* Quicklist: reading and changing it anywhere. Server process; the snapshot child reads. */
#include "server/data/quicklist_node.h"

#include "server/base/alloc.h"
#include "server/data/listpack.h"

/* --- standing and moving --- */

/* The content of c->node, unpacked aside when it is packed. */
static void open_node(struct quicklist_cursor *c)
{
    struct quicklist_node *n = c->node;
    c->content = n->data;
    if (!n->packed_bytes) return;
    mem_free(c->scratch);
    c->scratch = mem_alloc(n->bytes);
    quicklist_node_unpack_to(n, c->scratch);
    c->content = c->scratch;
}

static void leave_altered(struct quicklist_cursor *c)
{
    if (c->altered) quicklist_settle(c->list, c->altered);
    c->altered = NULL;
}

/* Onto the first (or, entered from behind, the last) element of a node; NULL: beyond the list. */
static bool enter(struct quicklist_cursor *c, struct quicklist_node *n, enum list_end from)
{
    leave_altered(c);
    c->node = n;
    if (!n) return false;
    open_node(c);
    c->element = n->is_plain ? NULL : from == LIST_HEAD ? listpack_first(c->content) : listpack_last(c->content);
    return true;
}

bool quicklist_seek(struct quicklist *ql, int64_t index, struct quicklist_cursor *out)
{
    *out = (struct quicklist_cursor){.list = ql};
    if (index < 0) index += (int64_t)ql->count;
    if (index < 0 || index >= (int64_t)ql->count) return false;
    size_t before = (size_t)index;
    struct quicklist_node *n = ql->head;
    if (before < ql->count / 2) {
        for (; before >= n->count; n = n->next) before -= n->count;
    } else {
        size_t from_end = ql->count - 1 - before;
        for (n = ql->tail; from_end >= n->count; n = n->prev) from_end -= n->count;
        before = n->count - 1 - from_end;
    }
    out->node = n;
    open_node(out);
    out->element = n->is_plain ? NULL : listpack_seek(out->content, (int64_t)before);
    return true;
}

void quicklist_cursor_close(struct quicklist_cursor *c)
{
    leave_altered(c);
    mem_free(c->scratch);
    *c = (struct quicklist_cursor){0};
}

struct packed_value quicklist_cursor_value(const struct quicklist_cursor *c)
{
    return c->element ? listpack_get(c->element) : packed_string(c->content, c->node->bytes);
}

bool quicklist_cursor_next(struct quicklist_cursor *c)
{
    const uint8_t *next = c->element ? listpack_next(c->content, c->element) : NULL;
    if (!next) return enter(c, c->node->next, LIST_HEAD);
    c->element = next;
    return true;
}

bool quicklist_cursor_prev(struct quicklist_cursor *c)
{
    const uint8_t *prev = c->element ? listpack_prev(c->content, c->element) : NULL;
    if (!prev) return enter(c, c->node->prev, LIST_TAIL);
    c->element = prev;
    return true;
}

void quicklist_walk(struct quicklist *ql, size_t index, size_t count,
                    void (*visit)(void *context, struct packed_value value), void *context)
{
    struct quicklist_cursor c;
    for (bool on = quicklist_seek(ql, (int64_t)index, &c); on && count; on = enter(&c, c.node->next, LIST_HEAD)) {
        if (c.element) {
            count -= listpack_walk(c.element, count, visit, context);
        } else {
            visit(context, quicklist_cursor_value(&c));
            count--;
        }
    }
    quicklist_cursor_close(&c);
}

/* --- changing --- */

/* The node's own bytes are about to be changed: unpacks them in their place. Returns the element there. */
static uint8_t *alter(struct quicklist_cursor *c)
{
    size_t at = c->element ? (size_t)(c->element - c->content) : 0;
    quicklist_node_unpack(c->node);
    c->altered = c->node;
    c->content = c->node->data;
    if (!c->element) return NULL;
    c->element = c->content + at;
    return c->node->data + at;
}

static void end_cursor(struct quicklist_cursor *c, struct quicklist_node *altered)
{
    c->altered = altered;
    leave_altered(c);
    c->node = NULL;
}

/* Cuts the node in two unless the place is at its edge. Returns the node in front of the place, NULL at the head. */
static struct quicklist_node *open_gap(struct quicklist_cursor *c, bool before)
{
    struct quicklist_node *n = c->node;
    const uint8_t *following = c->element;
    if (before) {
        if (n->is_plain || following == listpack_first(n->data)) return n->prev;
    } else {
        following = n->is_plain ? NULL : listpack_next(n->data, c->element);
        if (!following) return n;
    }
    uint8_t *front = n->data, *back = listpack_split(&front, following);
    quicklist_node_changed(c->list, n, front, -(ptrdiff_t)listpack_length(back));
    quicklist_link(c->list, quicklist_node_of_listpack(back), n);
    return n;
}

/* Puts value behind the node `front`: into it, into the next, or between them. Returns where it is. */
static struct quicklist_node *fill_gap(struct quicklist *ql, struct quicklist_node *front, struct packed_value value)
{
    struct quicklist_node *behind = front ? front->next : ql->head;
    if (front && quicklist_node_accepts(ql, front, &value)) {
        quicklist_node_unpack(front);
        quicklist_node_push(ql, front, LIST_TAIL, value);
        return front;
    }
    if (behind && quicklist_node_accepts(ql, behind, &value)) {
        quicklist_node_unpack(behind);
        quicklist_node_push(ql, behind, LIST_HEAD, value);
        return behind;
    }
    struct quicklist_node *n = quicklist_node_of_value(ql, &value);
    quicklist_link(ql, n, front);
    return n;
}

/* b becomes part of a, the node before it, when they fit into one. Returns the node that holds what b held. */
static struct quicklist_node *join(struct quicklist *ql, struct quicklist_node *a, struct quicklist_node *b)
{
    if (a->is_plain || b->is_plain) return b;
    if (quicklist_node_exceeds(ql->fill, a->bytes + b->bytes, (size_t)a->count + b->count)) return b;
    quicklist_node_unpack(a);
    quicklist_node_unpack(b);
    uint8_t *joined = listpack_append_all(a->data, b->data);
    quicklist_node_changed(ql, a, joined, b->count);
    quicklist_unlink(ql, b);
    return a;
}

static void insert_at_gap(struct quicklist_cursor *c, struct quicklist_node *front, struct packed_value value)
{
    struct quicklist_node *n = fill_gap(c->list, front, value);
    if (n->prev) n = join(c->list, n->prev, n);
    if (n->next) join(c->list, n, n->next);
    end_cursor(c, n);
}

void quicklist_cursor_insert(struct quicklist_cursor *c, bool before, struct packed_value value)
{
    uint8_t *element = alter(c);
    struct quicklist_node *n = c->node;
    if (!quicklist_node_accepts(c->list, n, &value)) {
        insert_at_gap(c, open_gap(c, before), value);
        return;
    }
    uint8_t *lp =
        before ? listpack_insert_before(n->data, &element, value) : listpack_insert_after(n->data, &element, value);
    quicklist_node_changed(c->list, n, lp, 1);
    end_cursor(c, n);
}

static bool fits_in_place(const struct quicklist_cursor *c, const struct packed_value *value)
{
    const struct quicklist_node *n = c->node;
    if (n->is_plain || quicklist_is_large(c->list->fill, value)) return false;
    size_t bytes = n->bytes - (size_t)(listpack_element_bytes(listpack_get(c->element)));
    return n->count == 1 || !quicklist_node_exceeds(c->list->fill, bytes + listpack_element_bytes(*value), n->count);
}

void quicklist_cursor_replace(struct quicklist_cursor *c, struct packed_value value)
{
    struct quicklist *ql = c->list;
    uint8_t *element = alter(c);
    if (fits_in_place(c, &value)) {
        quicklist_node_changed(ql, c->node, listpack_replace(c->node->data, &element, value), 0);
        end_cursor(c, c->node);
        return;
    }
    struct quicklist_node *front = open_gap(c, true), *old = front ? front->next : ql->head;
    if (old->count > 1)
        quicklist_node_changed(ql, old, listpack_delete_range(old->data, 0, 1), -1);
    else
        quicklist_unlink(ql, old);
    insert_at_gap(c, front, value);
}

bool quicklist_cursor_delete(struct quicklist_cursor *c, bool backwards)
{
    uint8_t *element = alter(c);
    struct quicklist_node *n = c->node, *beyond = backwards ? n->prev : n->next;
    enum list_end from = backwards ? LIST_TAIL : LIST_HEAD;
    if (n->count == 1) {
        c->altered = NULL;
        quicklist_unlink(c->list, n);
        quicklist_settle(c->list, NULL);
        return enter(c, beyond, from);
    }
    quicklist_node_changed(c->list, n, listpack_delete(n->data, &element), -1);
    if (backwards) element = element ? listpack_prev(n->data, element) : listpack_last(n->data);
    c->content = n->data;
    c->element = element;
    return element ? true : enter(c, beyond, from);
}
