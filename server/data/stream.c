/* A stream's entries. Server process; the snapshot child reads. */
#include "server/data/stream.h"

#include <stdatomic.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/prefetch.h"
#include "server/data/digest.h"
#include "server/data/listpack.h"
#include "server/data/settings.h"
#include "server/data/stream_group.h"

/* Elements of an entry besides fields and values: flags and two differences; then the field count, when it has one. */
#define ENTRY_HEAD_ELEMENTS 3
/* Of a node from elsewhere: its counts must be able to grow. */
#define NODE_MAX_BYTES ((size_t)UINT32_MAX - 1024)

static _Atomic size_t alive; /* a large one is freed by a worker */

size_t stream_count_alive(void)
{
    return atomic_load_explicit(&alive, memory_order_relaxed);
}

struct stream *stream_new(void)
{
    atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
    return mem_calloc(1, sizeof(struct stream));
}

static void free_listpack(void *listpack)
{
    listpack_free(listpack);
}

void stream_free(struct stream *s)
{
    radix_tree_clear(&s->nodes, free_listpack);
    stream_groups_free(s);
    mem_free(s);
    atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
}

/* --- nodes --- */

static void set_node(struct stream *s, struct stream_id id, uint8_t *listpack)
{
    uint8_t key[STREAM_ID_KEY_BYTES];
    radix_tree_set(&s->nodes, stream_id_key(id, key), listpack);
    s->tail = listpack;
    s->tail_id = id;
}

/* A node's listpack may have moved. */
static void replace_node(struct stream *s, struct stream_id id, const uint8_t *before, uint8_t *listpack)
{
    uint8_t key[STREAM_ID_KEY_BYTES];
    if (before == listpack) return;
    radix_tree_set(&s->nodes, stream_id_key(id, key), listpack);
    if (s->tail == before) s->tail = listpack;
}

static void remove_node(struct stream *s, struct stream_id id)
{
    uint8_t key[STREAM_ID_KEY_BYTES];
    uint8_t *listpack = radix_tree_remove(&s->nodes, stream_id_key(id, key));
    if (s->tail == listpack) {
        struct radix_cursor c;
        radix_cursor_init(&c, &s->nodes);
        s->tail = radix_cursor_last(&c) ? c.value : NULL;
        if (s->tail) s->tail_id = stream_id_of_key(c.key.ptr);
        radix_cursor_close(&c);
    }
    listpack_free(listpack);
}

static const uint8_t *skip(const uint8_t *element, uint64_t count)
{
    struct packed_value ignored;
    while (count--) element = listpack_read(element, &ignored);
    return element;
}

static const uint8_t *read_integer(const uint8_t *element, int64_t *out)
{
    struct packed_value v;
    element = listpack_read(element, &v);
    *out = v.integer;
    return element;
}

struct node_counts {
    int64_t alive, deleted;
};

static struct node_counts counts_of(const uint8_t *listpack)
{
    struct node_counts n;
    read_integer(read_integer(listpack_first(listpack), &n.alive), &n.deleted);
    return n;
}

static uint8_t *set_counts(uint8_t *listpack, struct node_counts n)
{
    uint8_t *element = listpack_first(listpack);
    listpack = listpack_replace(listpack, &element, packed_integer(n.alive));
    element = listpack_next(listpack, element);
    return listpack_replace(listpack, &element, packed_integer(n.deleted));
}

/* --- adding --- */

/* true: the entry must begin a node of its own. */
static bool tail_is_full(const struct stream *s, size_t more_bytes)
{
    uint64_t most_bytes = data_settings->stream_node_max_bytes, most_entries = data_settings->stream_node_max_entries;
    if (!s->tail) return true;
    if (!most_bytes || most_bytes > STREAM_ENTRY_MAX_BYTES) most_bytes = STREAM_ENTRY_MAX_BYTES;
    if (listpack_bytes(s->tail) + more_bytes >= most_bytes) return true;
    struct node_counts n = counts_of(s->tail);
    return most_entries && (uint64_t)(n.alive + n.deleted) >= most_entries;
}

static void start_node(struct stream *s, struct stream_id id, uint32_t count, const struct bytes *fields_and_values)
{
    if (s->tail) replace_node(s, s->tail_id, s->tail, listpack_shrink(s->tail));
    uint8_t *lp = listpack_new(0);
    lp = listpack_append(lp, packed_integer(0));
    lp = listpack_append(lp, packed_integer(0));
    lp = listpack_append(lp, packed_integer(count / 2));
    for (uint32_t i = 0; i < count; i += 2) lp = listpack_append(lp, packed_from(fields_and_values[i]));
    set_node(s, id, listpack_append(lp, packed_integer(0)));
}

static bool has_master_fields(const uint8_t *listpack, uint32_t count, const struct bytes *fields_and_values)
{
    int64_t master_count;
    const uint8_t *at = read_integer(skip(listpack_first(listpack), 2), &master_count);
    if (master_count != count / 2) return false;
    for (uint32_t i = 0; i < count; i += 2) {
        struct packed_value master, field = packed_from(fields_and_values[i]);
        at = listpack_read(at, &master);
        if (!packed_equal(&master, &field)) return false;
    }
    return true;
}

/* Writes the entry behind the others of the tail. */
static uint8_t *append_entry(const struct stream *s, struct stream_id id, bool same, uint32_t count,
                             const struct bytes *fields_and_values)
{
    uint32_t elements = ENTRY_HEAD_ELEMENTS + (same ? count / 2 : 1 + count), n = 0;
    struct packed_value room[32], *values = elements < 32 ? room : mem_alloc((elements + 1) * sizeof *values);
    values[n++] = packed_integer(same ? STREAM_ENTRY_SAME_FIELDS : 0);
    values[n++] = packed_integer((int64_t)(id.ms - s->tail_id.ms));
    values[n++] = packed_integer((int64_t)(id.seq - s->tail_id.seq));
    if (!same) values[n++] = packed_integer(count / 2);
    for (uint32_t i = same; i < count; i += same ? 2 : 1) values[n++] = packed_from(fields_and_values[i]);
    values[n++] = packed_integer(elements);
    uint8_t *lp = listpack_append_several(s->tail, values, n);
    if (values != room) mem_free(values);
    return lp;
}

void stream_append(struct stream *s, struct stream_id id, uint32_t count, const struct bytes *fields_and_values)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) bytes += fields_and_values[i].len;
    bool same = true;
    if (tail_is_full(s, bytes))
        start_node(s, id, count, fields_and_values);
    else
        same = has_master_fields(s->tail, count, fields_and_values);
    uint8_t *lp = append_entry(s, id, same, count, fields_and_values);
    uint8_t *alive = listpack_first(lp);
    lp = listpack_replace(lp, &alive, packed_integer(listpack_get(alive).integer + 1));
    replace_node(s, s->tail_id, s->tail, lp);
    s->last_id = id;
    s->entries_added++;
    if (++s->length == 1) s->first_id = id;
}

/* --- cursor --- */

static void enter_node(struct stream_cursor *c)
{
    c->listpack = c->nodes.value;
    if (!c->listpack) return;
    c->node_id = stream_id_of_key(c->nodes.key.ptr);
    int64_t count;
    c->master_fields = read_integer(skip(listpack_first(c->listpack), 2), &count);
    c->master_field_count = (uint64_t)count;
    c->next_entry = c->backwards ? listpack_last(c->listpack) : skip(c->master_fields, c->master_field_count + 1);
}

void stream_cursor_open(struct stream_cursor *c, const struct stream *s, struct stream_id start, struct stream_id end,
                        bool backwards)
{
    uint8_t key[STREAM_ID_KEY_BYTES];
    c->stream = s;
    c->backwards = backwards;
    c->start = start;
    c->end = end;
    c->entry = NULL;
    c->pairs_left = 0;
    radix_cursor_init(&c->nodes, &s->nodes);
    if (!radix_cursor_seek(&c->nodes, RADIX_AT_MOST, stream_id_key(backwards ? end : start, key)) && !backwards)
        radix_cursor_first(&c->nodes);
    enter_node(c);
}

void stream_cursor_close(struct stream_cursor *c)
{
    radix_cursor_close(&c->nodes);
}

/* Reads an entry's head at c->entry. */
static void read_entry(struct stream_cursor *c)
{
    int64_t ms, seq, count;
    const uint8_t *at = read_integer(read_integer(read_integer(c->entry, &c->flags), &ms), &seq);
    c->id = (struct stream_id){c->node_id.ms + (uint64_t)ms, c->node_id.seq + (uint64_t)seq};
    c->field_count = c->master_field_count;
    c->field = c->master_fields;
    if (!(c->flags & STREAM_ENTRY_SAME_FIELDS)) {
        c->field = at = read_integer(at, &count);
        c->field_count = (uint64_t)count;
    }
    c->value = at;
    c->pairs_left = c->field_count;
}

/* To the next entry of this node, alive or not; false: the node ends. */
static bool step_forwards(struct stream_cursor *c)
{
    if (c->entry) {
        bool same = c->flags & STREAM_ENTRY_SAME_FIELDS;
        c->next_entry = skip(same ? c->value : c->field, c->pairs_left * (same ? 1 : 2) + 1);
    }
    c->entry = *c->next_entry == LISTPACK_END ? NULL : c->next_entry;
    return c->entry != NULL;
}

static bool step_backwards(struct stream_cursor *c)
{
    int64_t elements = listpack_get(c->next_entry).integer;
    c->entry = elements ? c->next_entry : NULL;
    if (!elements) return false; /* the zero behind the master's fields */
    while (elements--) c->entry = listpack_prev(c->listpack, c->entry);
    c->next_entry = listpack_prev(c->listpack, c->entry);
    return true;
}

bool stream_cursor_next(struct stream_cursor *c)
{
    while (c->listpack) {
        while (c->backwards ? step_backwards(c) : step_forwards(c)) {
            read_entry(c);
            bool below = stream_id_compare(c->id, c->start)<0, above = stream_id_compare(c->id, c->end)> 0;
            if (c->backwards ? below : above) {
                c->listpack = NULL;
                return false;
            }
            if (!below && !above && !(c->flags & STREAM_ENTRY_DELETED)) return true;
        }
        if (c->backwards)
            radix_cursor_prev(&c->nodes);
        else
            radix_cursor_next(&c->nodes);
        enter_node(c);
    }
    return false;
}

bool stream_cursor_pair(struct stream_cursor *c, struct packed_value *field, struct packed_value *value)
{
    if (!c->pairs_left) return false;
    c->pairs_left--;
    c->field = listpack_read(c->field, field);
    if (c->flags & STREAM_ENTRY_SAME_FIELDS)
        c->value = listpack_read(c->value, value);
    else
        c->field = listpack_read(c->field, value);
    return true;
}

bool stream_has(const struct stream *s, struct stream_id id)
{
    struct stream_cursor c;
    stream_cursor_open(&c, s, id, id, false);
    bool found = stream_cursor_next(&c);
    stream_cursor_close(&c);
    return found;
}

struct stream_id stream_edge_id(const struct stream *s, bool last)
{
    struct stream_cursor c;
    stream_cursor_open(&c, s, STREAM_ID_LEAST, STREAM_ID_MOST, last);
    struct stream_id id = stream_cursor_next(&c) ? c.id : STREAM_ID_LEAST;
    stream_cursor_close(&c);
    return id;
}

/* Nothing was ever deleted from between the entries that are there. */
static bool only_trimmed(const struct stream *s)
{
    return stream_id_is_zero(s->max_deleted_id) || stream_id_compare(s->max_deleted_id, s->first_id) < 0;
}

bool stream_has_tombstones(const struct stream *s, struct stream_id from)
{
    if (!s->length || only_trimmed(s)) return false;
    return stream_id_compare(from, s->max_deleted_id) <= 0;
}

bool stream_all_behind(const struct stream *s, struct stream_id id)
{
    return only_trimmed(s) && stream_id_compare(id, s->first_id) < 0;
}

int64_t stream_count_up_to(const struct stream *s, struct stream_id id)
{
    int64_t added = (int64_t)s->entries_added, length = (int64_t)s->length;
    if (!added) return 0;
    int to_last = stream_id_compare(id, s->last_id);
    if (to_last == 0 || (!length && to_last < 0)) return added;
    if (to_last > 0) return -1;
    int to_first = stream_id_compare(id, s->first_id);
    if (!only_trimmed(s) || to_first > 0) return -1;
    return added - length + (to_first == 0);
}

/* --- removing --- */

/* The entry's flags say so from now on. Both values are of one size, unless whoever wrote the node took more for the
 * first than was needed: then what follows moves. */
static uint8_t *mark_deleted(uint8_t *listpack, size_t entry_offset, int64_t flags)
{
    uint8_t *element = listpack + entry_offset;
    return listpack_replace(listpack, &element, packed_integer(flags | STREAM_ENTRY_DELETED));
}

static void note_new_first(struct stream *s)
{
    s->first_id = stream_edge_id(s, false);
}

bool stream_delete(struct stream *s, struct stream_id id)
{
    struct stream_cursor c;
    stream_cursor_open(&c, s, id, id, false);
    bool found = stream_cursor_next(&c);
    uint8_t *lp = c.nodes.value;
    stream_cursor_close(&c);
    if (!found) return false;
    struct node_counts n = counts_of(lp);
    if (n.alive == 1) {
        remove_node(s, c.node_id);
    } else {
        uint8_t *marked = mark_deleted(lp, (size_t)(c.entry - lp), c.flags);
        replace_node(s, c.node_id, lp, set_counts(marked, (struct node_counts){n.alive - 1, n.deleted + 1}));
    }
    s->length--;
    if (stream_id_compare(id, s->max_deleted_id) > 0) s->max_deleted_id = id;
    if (stream_id_compare(id, s->first_id) == 0) note_new_first(s);
    return true;
}

/* The id of a node's last entry, alive or not. */
static struct stream_id last_in_node(const struct stream *s, const uint8_t *listpack, struct stream_id node_id)
{
    struct stream_cursor c = {.stream = s, .backwards = true, .listpack = listpack, .node_id = node_id};
    c.next_entry = listpack_last(listpack);
    if (!step_backwards(&c)) return node_id;
    read_entry(&c);
    return c.id;
}

static bool needs_trim(const struct stream *s, const struct stream_trim *trim, struct stream_id id)
{
    return trim->by == STREAM_TRIM_MAXLEN ? s->length > trim->max_len : stream_id_compare(id, trim->min_id) < 0;
}

/* Removes from the first node's beginning, entry by entry. A node that this empties stays until the next trim. */
static uint64_t trim_within_node(struct stream *s, const struct stream_trim *trim)
{
    struct stream_cursor c;
    uint64_t removed = 0;
    stream_cursor_open(&c, s, STREAM_ID_LEAST, STREAM_ID_MOST, false);
    uint8_t *lp = c.nodes.value;
    struct stream_id node_id = c.node_id;
    while (stream_cursor_next(&c) && c.nodes.value == lp && needs_trim(s, trim, c.id)) {
        size_t bytes = listpack_bytes(lp);
        uint8_t *marked = mark_deleted(lp, (size_t)(c.entry - lp), c.flags);
        s->length--;
        removed++;
        if (likely(marked == lp && listpack_bytes(lp) == bytes)) continue;
        stream_cursor_close(&c);
        replace_node(s, node_id, lp, marked);
        lp = marked;
        stream_cursor_open(&c, s, STREAM_ID_LEAST, STREAM_ID_MOST, false);
    }
    stream_cursor_close(&c);
    if (!removed) return 0;
    struct node_counts n = counts_of(lp);
    n.alive -= (int64_t)removed;
    n.deleted += (int64_t)removed;
    replace_node(s, node_id, lp, set_counts(lp, n));
    return removed;
}

static bool may_remove_node(const struct stream *s, const struct stream_trim *trim, const uint8_t *listpack,
                            struct stream_id node_id, uint64_t alive)
{
    if (trim->by == STREAM_TRIM_MAXLEN) return s->length - alive >= trim->max_len;
    return stream_id_compare(last_in_node(s, listpack, node_id), trim->min_id) < 0;
}

uint64_t stream_trim(struct stream *s, const struct stream_trim *trim)
{
    uint64_t removed = 0;
    if (trim->by == STREAM_TRIM_NONE) return 0;
    while (s->length && (trim->by == STREAM_TRIM_MINID || s->length > trim->max_len)) {
        struct radix_cursor first;
        radix_cursor_init(&first, &s->nodes);
        radix_cursor_first(&first);
        struct stream_id node_id = stream_id_of_key(first.key.ptr);
        const uint8_t *lp = first.value;
        radix_cursor_close(&first);
        uint64_t alive = (uint64_t)counts_of(lp).alive;
        if (trim->limit && removed + alive > trim->limit) break;
        if (!may_remove_node(s, trim, lp, node_id, alive)) {
            if (!trim->approximate) removed += trim_within_node(s, trim);
            break;
        }
        remove_node(s, node_id);
        s->length -= alive;
        removed += alive;
    }
    if (removed) note_new_first(s);
    return removed;
}

/* --- for loaders --- */

enum expected {
    EXPECT_ALIVE,
    EXPECT_DELETED,
    EXPECT_MASTER_COUNT,
    EXPECT_MASTER_FIELDS,
    EXPECT_MASTER_END,
    EXPECT_FLAGS,
    EXPECT_MS,
    EXPECT_SEQ,
    EXPECT_FIELD_COUNT,
    EXPECT_DATA,
    EXPECT_ELEMENT_COUNT,
};

struct node_check {
    enum expected next;
    struct stream_id node_id, id, last_id;
    int64_t alive, deleted; /* as said */
    int64_t seen[2];        /* alive, deleted: as counted */
    uint64_t master_count, most_fields, left, elements;
    int64_t flags;
};

static bool check_field_count(struct node_check *n, int64_t count)
{
    if (count < 1 || (uint64_t)count > n->most_fields) return false;
    n->left = (uint64_t)count;
    return true;
}

static bool check_id(struct node_check *n)
{
    bool first = n->seen[0] + n->seen[1] == 0;
    int order = stream_id_compare(n->id, first ? n->node_id : n->last_id);
    n->last_id = n->id;
    return first ? order >= 0 : order > 0;
}

/* Of an entry whose flags and id have been read. */
static bool check_entry_head(struct node_check *n)
{
    bool same = n->flags & STREAM_ENTRY_SAME_FIELDS;
    n->next = same ? EXPECT_DATA : EXPECT_FIELD_COUNT;
    n->left = n->master_count;
    n->elements = ENTRY_HEAD_ELEMENTS + n->master_count;
    if (!check_id(n)) return false;
    n->seen[n->flags & STREAM_ENTRY_DELETED]++;
    return true;
}

static bool check_element(void *arg, struct packed_value v)
{
    struct node_check *n = arg;
    enum expected now = n->next;
    if (v.ptr && now != EXPECT_MASTER_FIELDS && now != EXPECT_DATA) return false;
    switch (now) {
    case EXPECT_ALIVE: n->alive = v.integer; break;
    case EXPECT_DELETED: n->deleted = v.integer; break;
    case EXPECT_MASTER_COUNT:
        n->next = EXPECT_MASTER_FIELDS;
        n->master_count = (uint64_t)v.integer;
        return check_field_count(n, v.integer);
    case EXPECT_MASTER_FIELDS:
        if (--n->left == 0) n->next = EXPECT_MASTER_END;
        return true;
    case EXPECT_MASTER_END:
        if (v.integer != 0) return false;
        break;
    case EXPECT_FLAGS:
        n->flags = v.integer;
        if (v.integer & ~(STREAM_ENTRY_DELETED | STREAM_ENTRY_SAME_FIELDS)) return false;
        break;
    case EXPECT_MS: n->id.ms = n->node_id.ms + (uint64_t)v.integer; break;
    case EXPECT_SEQ: n->id.seq = n->node_id.seq + (uint64_t)v.integer; return check_entry_head(n);
    case EXPECT_FIELD_COUNT:
        if (!check_field_count(n, v.integer)) return false;
        n->left *= 2;
        n->elements = ENTRY_HEAD_ELEMENTS + 1 + n->left;
        break;
    case EXPECT_DATA:
        if (--n->left == 0) n->next = EXPECT_ELEMENT_COUNT;
        return true;
    case EXPECT_ELEMENT_COUNT: n->next = EXPECT_FLAGS; return (uint64_t)v.integer == n->elements;
    }
    n->next = now + 1;
    return true;
}

bool stream_node_validate(struct bytes listpack, struct stream_id node_id, struct stream_node_facts *out)
{
    struct node_check n = {.node_id = node_id, .last_id = node_id, .most_fields = listpack.len};
    if (listpack.len > NODE_MAX_BYTES) return false;
    if (!listpack_validate(listpack, check_element, &n) || n.next != EXPECT_FLAGS) return false;
    if (n.alive != n.seen[0] || n.deleted != n.seen[1]) return false;
    *out = (struct stream_node_facts){(uint64_t)n.alive, n.last_id};
    return true;
}

void stream_append_node(struct stream *s, struct stream_id node_id, uint8_t *listpack, uint64_t alive)
{
    set_node(s, node_id, listpack);
    s->length += alive;
}

/* --- what every type can do --- */

static void object_free(void *object, enum value_encoding encoding)
{
    (void)encoding;
    stream_free(object);
}

static void *object_copy(const void *object, enum value_encoding encoding)
{
    const struct stream *s = object;
    struct stream *copy = stream_new();
    struct radix_cursor c;
    (void)encoding;
    radix_cursor_init(&c, &s->nodes);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c))
        set_node(copy, stream_id_of_key(c.key.ptr), listpack_copy(c.value));
    radix_cursor_close(&c);
    copy->length = s->length;
    copy->entries_added = s->entries_added;
    copy->last_id = s->last_id;
    copy->first_id = s->first_id;
    copy->max_deleted_id = s->max_deleted_id;
    stream_groups_copy(copy, s);
    return copy;
}

/* From `samples` nodes the others are judged. */
static size_t object_memory(const void *object, enum value_encoding encoding, size_t samples)
{
    const struct stream *s = object;
    struct radix_cursor c;
    size_t seen = 0, bytes = 0;
    (void)encoding;
    radix_cursor_init(&c, &s->nodes);
    for (bool on = radix_cursor_first(&c); on && (!samples || seen < samples); on = radix_cursor_next(&c), seen++)
        bytes += mem_size(c.value);
    radix_cursor_close(&c);
    if (seen) bytes = (size_t)((double)bytes / (double)seen * (double)s->nodes.count);
    return mem_size(s) + s->nodes.bytes + bytes + stream_groups_memory(s);
}

static size_t object_free_effort(const void *object, enum value_encoding encoding)
{
    const struct stream *s = object;
    size_t effort = s->nodes.count;
    struct radix_cursor c;
    (void)encoding;
    radix_cursor_init(&c, &s->groups);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c))
        effort += 1 + ((const struct stream_group *)c.value)->pending.count;
    radix_cursor_close(&c);
    return effort;
}

/* Content: for each entry its id as "ms.seq", then its fields and values; groups do not count. */
static void object_digest(const void *object, enum value_encoding encoding, uint8_t digest[DIGEST_BYTES])
{
    struct stream_cursor c;
    struct packed_value field, value;
    char text[STREAM_ID_TEXT_MAX], scratch[I64_TEXT_MAX];
    (void)encoding;
    stream_cursor_open(&c, object, STREAM_ID_LEAST, STREAM_ID_MOST, false);
    while (stream_cursor_next(&c)) {
        size_t len = stream_id_format(text, c.id);
        *(char *)memchr(text, '-', len) = '.';
        digest_mix(digest, bytes_make(text, len));
        while (stream_cursor_pair(&c, &field, &value)) {
            digest_mix(digest, packed_text(&field, scratch));
            digest_mix(digest, packed_text(&value, scratch));
        }
    }
    stream_cursor_close(&c);
}

/* For a command that adds an entry: the stream, its last node's beginning, and that node's end. */
static bool object_prefetch(const void *object, enum value_encoding encoding, uint64_t hash, unsigned step)
{
    const struct stream *s = object;
    (void)encoding, (void)hash;
    if (step == 0) {
        prefetch_bytes(s, sizeof *s);
        return true;
    }
    if (!s->tail) return false;
    if (step == 1) {
        __builtin_prefetch(s->tail);
        return true;
    }
    __builtin_prefetch(s->tail + listpack_bytes(s->tail));
    return false;
}

void stream_register(void)
{
    static const struct value_ops ops = {object_free,        object_copy,   object_memory,
                                         object_free_effort, object_digest, object_prefetch};
    value_ops_register(TYPE_STREAM, &ops);
}
