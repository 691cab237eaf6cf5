/* The list type over its two encodings. Server process; the snapshot child reads. */
#include "server/data/list.h"

#include "server/base/alloc.h"
#include "server/data/digest.h"
#include "server/data/flat.h"
#include "server/data/settings.h"

static bool is_packed(const struct list_value *l)
{
    return l->encoding == ENCODING_LISTPACK;
}

struct list_value list_new(void)
{
    return (struct list_value){.encoding = ENCODING_LISTPACK, .object = listpack_new(0)};
}

static void object_free(void *object, enum value_encoding encoding)
{
    if (encoding == ENCODING_LISTPACK)
        listpack_free(object);
    else
        quicklist_free(object);
}

void list_free(struct list_value *l)
{
    if (!l->inside) object_free(l->object, l->encoding);
    l->object = NULL;
}

size_t list_length(const struct list_value *l)
{
    return is_packed(l) ? listpack_length(l->object) : quicklist_count(l->object);
}

static uint8_t *own(struct list_value *l, const uint8_t *place)
{
    return flat_object_own(l->encoding, &l->object, &l->inside, place);
}

/* --- encoding --- */

static void become_quicklist(struct list_value *l)
{
    struct quicklist *ql = quicklist_new(data_settings->list_max_listpack_size, data_settings->list_compress_depth);
    own(l, NULL);
    quicklist_append_listpack(ql, l->object);
    *l = (struct list_value){.encoding = ENCODING_QUICKLIST, .object = ql};
}

void list_prepare_growth(struct list_value *l, const struct bytes *texts, size_t count)
{
    if (!is_packed(l)) return;
    size_t bytes = listpack_bytes(l->object);
    for (size_t i = 0; i < count; i++) bytes += texts[i].len;
    if (quicklist_node_exceeds(data_settings->list_max_listpack_size, bytes, listpack_length(l->object) + count))
        become_quicklist(l);
}

/* As in Redis, a limit in elements is then not one in bytes as well, though it is when a list grows. */
static void become_listpack_within(struct list_value *l, size_t parts)
{
    int limit = data_settings->list_max_listpack_size;
    const uint8_t *lp = quicklist_only_listpack(l->object);
    if (!lp) return;
    size_t bytes = limit < 0 ? listpack_bytes(lp) * parts : 0;
    if (quicklist_node_exceeds(limit, bytes, listpack_length(lp) * parts)) return;
    *l = (struct list_value){.encoding = ENCODING_LISTPACK, .object = quicklist_take_listpack(l->object)};
}

void list_settle_shrunk(struct list_value *l)
{
    if (!is_packed(l)) become_listpack_within(l, 2);
}

struct list_value list_from_quicklist(struct quicklist *ql)
{
    struct list_value l = {.encoding = ENCODING_QUICKLIST, .object = ql};
    become_listpack_within(&l, 1);
    return l;
}

/* --- ends --- */

void list_push(struct list_value *l, enum list_end end, struct bytes text)
{
    struct packed_value v = packed_from(text);
    if (!is_packed(l)) {
        quicklist_push(l->object, end, v);
        return;
    }
    own(l, NULL);
    l->object = end == LIST_HEAD ? listpack_prepend(l->object, v) : listpack_append(l->object, v);
}

struct packed_value list_at_end(const struct list_value *l, enum list_end end)
{
    if (!is_packed(l)) return quicklist_at_end(l->object, end);
    return listpack_get(end == LIST_HEAD ? listpack_first(l->object) : listpack_last(l->object));
}

void list_drop(struct list_value *l, enum list_end end, size_t count)
{
    if (!is_packed(l)) {
        quicklist_drop(l->object, end, count);
        return;
    }
    own(l, NULL);
    l->object = listpack_delete_range(l->object, end == LIST_HEAD ? 0 : -(int64_t)count, count);
}

/* --- anywhere --- */

bool list_seek(struct list_value *l, int64_t index, struct list_cursor *out)
{
    out->list = l;
    out->element = NULL;
    if (!is_packed(l)) return quicklist_seek(l->object, index, &out->in_quicklist);
    out->element = listpack_seek(l->object, index);
    return out->element != NULL;
}

void list_cursor_close(struct list_cursor *c)
{
    if (!is_packed(c->list)) quicklist_cursor_close(&c->in_quicklist);
}

struct packed_value list_cursor_value(const struct list_cursor *c)
{
    return is_packed(c->list) ? listpack_get(c->element) : quicklist_cursor_value(&c->in_quicklist);
}

bool list_cursor_next(struct list_cursor *c)
{
    if (!is_packed(c->list)) return quicklist_cursor_next(&c->in_quicklist);
    c->element = listpack_next(c->list->object, c->element);
    return c->element != NULL;
}

bool list_cursor_prev(struct list_cursor *c)
{
    if (!is_packed(c->list)) return quicklist_cursor_prev(&c->in_quicklist);
    c->element = listpack_prev(c->list->object, c->element);
    return c->element != NULL;
}

void list_walk(const struct list_value *l, size_t index, size_t count,
               void (*visit)(void *context, struct packed_value value), void *context)
{
    if (!is_packed(l))
        quicklist_walk(l->object, index, count, visit, context);
    else if (count)
        listpack_walk(listpack_seek(l->object, (int64_t)index), count, visit, context);
}

void list_cursor_insert(struct list_cursor *c, bool before, struct bytes text)
{
    if (!is_packed(c->list)) {
        quicklist_cursor_insert(&c->in_quicklist, before, packed_from(text));
        return;
    }
    uint8_t *element = own(c->list, c->element);
    c->list->object = before ? listpack_insert_before(c->list->object, &element, packed_from(text))
                             : listpack_insert_after(c->list->object, &element, packed_from(text));
    c->element = element;
}

void list_cursor_replace(struct list_cursor *c, struct bytes text)
{
    if (!is_packed(c->list)) {
        quicklist_cursor_replace(&c->in_quicklist, packed_from(text));
        return;
    }
    uint8_t *element = own(c->list, c->element);
    c->list->object = listpack_replace(c->list->object, &element, packed_from(text));
    c->element = element;
}

bool list_cursor_delete(struct list_cursor *c, bool backwards)
{
    if (!is_packed(c->list)) return quicklist_cursor_delete(&c->in_quicklist, backwards);
    uint8_t *element = own(c->list, c->element), *lp = listpack_delete(c->list->object, &element);
    if (backwards) element = element ? listpack_prev(lp, element) : listpack_last(lp);
    c->list->object = lp;
    c->element = element;
    return element != NULL;
}

/* --- what every type can do --- */

static void *object_copy(const void *object, enum value_encoding encoding)
{
    return encoding == ENCODING_LISTPACK ? (void *)listpack_copy(object) : (void *)quicklist_copy(object);
}

static size_t object_memory(const void *object, enum value_encoding encoding, size_t samples)
{
    return encoding == ENCODING_LISTPACK ? mem_size(object) : quicklist_memory(object, samples);
}

static size_t object_free_effort(const void *object, enum value_encoding encoding)
{
    return encoding == ENCODING_LISTPACK ? 1 : quicklist_nodes(object);
}

static void mix_element(void *digest, struct packed_value value)
{
    char scratch[I64_TEXT_MAX];
    digest_mix(digest, packed_text(&value, scratch));
}

/* Content: each element's text is mixed in turn, for their order matters. */
static void object_digest(const void *object, enum value_encoding encoding, uint8_t digest[DIGEST_BYTES])
{
    struct list_value l = {.encoding = encoding, .object = (void *)(uintptr_t)object};
    list_walk(&l, 0, list_length(&l), mix_element, digest);
}

/* For a command at an end: of a short list everything, of a long one what leads to its ends. */
static bool object_prefetch(const void *object, enum value_encoding encoding, uint64_t hash, unsigned step)
{
    (void)encoding, (void)hash, (void)step;
    flat_object_prefetch(object);
    return false;
}

void list_register(void)
{
    static const struct value_ops ops = {object_free,        object_copy,   object_memory,
                                         object_free_effort, object_digest, object_prefetch};
    value_ops_register(TYPE_LIST, &ops);
}
