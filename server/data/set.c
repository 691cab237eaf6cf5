/* Sets in their three encodings. Server process; the snapshot child walks them. */
#include "server/data/set.h"

#include "server/data/digest.h"
#include "server/data/flat_or_table.h"
#include "server/data/sample.h"
#include "server/data/settings.h"

/* The form in which an intset or a listpack keeps the member. */
static struct packed_value canonical(const struct packed_value *member)
{
    return member->ptr ? packed_from(bytes_make(member->ptr, member->len)) : *member;
}

/* --- making --- */

struct set set_new_table(size_t members)
{
    return (struct set){.encoding = ENCODING_HASHTABLE, .object = flat_or_table_new_table(members)};
}

struct set set_new(const struct packed_value *first, size_t expected)
{
    if (!canonical(first).ptr && expected <= data_settings->set_max_intset_entries)
        return (struct set){.encoding = ENCODING_INTSET, .object = intset_new()};
    if (set_packed_fits(expected, 0, 0)) return (struct set){.encoding = ENCODING_LISTPACK, .object = listpack_new(0)};
    return set_new_table(expected);
}

void set_free(struct set *s)
{
    if (!s->inside) flat_or_table_free(s->object, s->encoding);
}

bool set_packed_fits(size_t members, size_t longest_bytes, size_t total_bytes)
{
    return members <= data_settings->set_max_listpack_entries &&
           longest_bytes <= data_settings->set_max_listpack_value_bytes && total_bytes <= LISTPACK_MAX_BYTES;
}

size_t set_count(const struct set *s)
{
    if (s->encoding == ENCODING_INTSET) return intset_count(s->object);
    if (s->encoding == ENCODING_LISTPACK) return listpack_length(s->object);
    return ((const struct member_table *)s->object)->count;
}

/* --- one member --- */

static bool table_add(struct member_table *t, const struct packed_value *member, bool is_new)
{
    char scratch[I64_TEXT_MAX];
    struct bytes text = packed_text(member, scratch);
    uint64_t hash = member_hash(text);
    if (!is_new && member_table_find(t, hash, text)) return false;
    member_table_insert(t, hash, text, 0);
    return true;
}

static uint8_t *listpack_member(const struct set *s, const struct packed_value *member)
{
    return listpack_find(s->object, listpack_first(s->object), *member, 0);
}

bool set_contains(const struct set *s, const struct packed_value *member)
{
    if (s->encoding == ENCODING_HASHTABLE) {
        char scratch[I64_TEXT_MAX];
        struct bytes text = packed_text(member, scratch);
        return member_table_find(s->object, member_hash(text), text) != NULL;
    }
    struct packed_value v = canonical(member);
    if (s->encoding == ENCODING_LISTPACK) return listpack_member(s, &v) != NULL;
    return !v.ptr && intset_contains(s->object, v.integer);
}

static void convert_to_table(struct set *s, size_t more)
{
    struct set table = set_new_table(set_count(s) + more);
    struct set_walk w;
    struct packed_value member;
    set_walk_start(&w, s);
    while (set_walk_next(&w, &member)) table_add(table.object, &member, true);
    set_free(s);
    *s = table;
}

static size_t digits(int64_t integer)
{
    char text[I64_TEXT_MAX];
    return format_i64(text, integer);
}

/* Room for a member that is no integer. */
static void open_intset(struct set *s, size_t member_bytes)
{
    size_t count = intset_count(s->object), longest = member_bytes, total = member_bytes;
    if (count) {
        size_t first = digits(intset_get(s->object, 0)), last = digits(intset_get(s->object, count - 1));
        size_t number = first > last ? first : last;
        if (number > longest) longest = number;
        total += number * count;
    }
    if (!set_packed_fits(count + 1, longest, total)) {
        convert_to_table(s, 1);
        return;
    }
    uint8_t *lp = listpack_new(total);
    for (size_t i = 0; i < count; i++) lp = listpack_append(lp, packed_integer(intset_get(s->object, i)));
    set_free(s);
    *s = (struct set){.encoding = ENCODING_LISTPACK, .object = lp};
}

static void *own(struct set *s, const uint8_t *place)
{
    return flat_object_own(s->encoding, &s->object, &s->inside, place);
}

static bool add_integer(struct set *s, int64_t integer)
{
    bool added;
    if (s->inside && intset_contains(s->object, integer)) return false;
    own(s, NULL);
    s->object = intset_add(s->object, integer, &added);
    if (added && intset_count(s->object) > data_settings->set_max_intset_entries) convert_to_table(s, 0);
    return added;
}

static bool add(struct set *s, const struct packed_value *member, bool is_new)
{
    if (s->encoding == ENCODING_HASHTABLE) return table_add(s->object, member, is_new);
    struct packed_value v = canonical(member);
    if (s->encoding == ENCODING_INTSET) {
        if (!v.ptr) return add_integer(s, v.integer);
        open_intset(s, v.len);
    } else if (!is_new && listpack_member(s, &v)) {
        return false;
    }
    size_t bytes = v.ptr ? v.len : digits(v.integer);
    if (s->encoding == ENCODING_LISTPACK &&
        !set_packed_fits(set_count(s) + 1, bytes, listpack_bytes(s->object) + bytes))
        convert_to_table(s, 1);
    if (s->encoding == ENCODING_HASHTABLE) return table_add(s->object, member, true);
    own(s, NULL);
    s->object = listpack_append(s->object, v);
    return true;
}

bool set_add(struct set *s, const struct packed_value *member)
{
    return add(s, member, false);
}

void set_add_new(struct set *s, const struct packed_value *member)
{
    add(s, member, true);
}

bool set_remove(struct set *s, const struct packed_value *member)
{
    if (s->encoding == ENCODING_HASHTABLE) {
        char scratch[I64_TEXT_MAX];
        return member_table_delete(s->object, packed_text(member, scratch));
    }
    struct packed_value v = canonical(member);
    if (s->encoding == ENCODING_INTSET) {
        bool removed = !v.ptr && intset_contains(s->object, v.integer);
        if (removed) own(s, NULL);
        if (removed) s->object = intset_remove(s->object, v.integer, &removed);
        return removed;
    }
    uint8_t *found = listpack_member(s, &v);
    if (!found) return false;
    found = own(s, found);
    s->object = listpack_delete(s->object, &found);
    return true;
}

/* --- walking --- */

void set_walk_start(struct set_walk *w, const struct set *s)
{
    w->encoding = s->encoding;
    w->index = 0;
    if (s->encoding == ENCODING_HASHTABLE)
        member_walk_start(&w->members, s->object);
    else
        w->at = (const uint8_t *)s->object + (s->encoding == ENCODING_LISTPACK ? LISTPACK_HEADER_BYTES : 0);
}

static struct packed_value member_value(const struct member *m)
{
    struct bytes key = member_key(m);
    return packed_string(key.ptr, key.len);
}

bool set_walk_next(struct set_walk *w, struct packed_value *out)
{
    if (w->encoding == ENCODING_HASHTABLE) {
        const struct member *m = member_walk_next(&w->members);
        if (m) *out = member_value(m);
        return m != NULL;
    }
    if (w->encoding == ENCODING_LISTPACK) {
        if (*w->at == LISTPACK_END) return false;
        w->at = listpack_read(w->at, out);
        return true;
    }
    if (w->index == intset_count(w->at)) return false;
    *out = packed_integer(intset_get(w->at, w->index++));
    return true;
}

/* --- batches --- */

#define PREFETCH_FROM 2048 /* members; a smaller table is near enough */

bool set_batch_fill(struct set_batch *b, struct set_walk *w)
{
    b->hashed = false;
    for (b->count = 0; b->count < SET_BATCH && set_walk_next(w, &b->members[b->count]);) b->count++;
    return b->count > 0;
}

/* Tables need the members' text. */
static void batch_hash(struct set_batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct bytes text = packed_text(&b->members[i], b->scratch[i]);
        b->members[i] = packed_string(text.ptr, text.len);
        b->hashes[i] = member_hash(text);
    }
    b->hashed = true;
}

static void batch_keep(struct set_batch *b, size_t kept, size_t i)
{
    b->members[kept] = b->members[i];
    if (b->hashed) b->hashes[kept] = b->hashes[i];
}

static void batch_filter_table(struct set_batch *b, const struct member_table *t, bool absent)
{
    size_t kept = 0;
    if (!b->hashed) batch_hash(b);
    if (t->count >= PREFETCH_FROM) {
        for (size_t i = 0; i < b->count; i++) member_table_prefetch(t, b->hashes[i], 0);
        for (size_t i = 0; i < b->count; i++) member_table_prefetch(t, b->hashes[i], 1);
    }
    for (size_t i = 0; i < b->count; i++) {
        struct bytes text = bytes_make(b->members[i].ptr, b->members[i].len);
        if ((member_table_find(t, b->hashes[i], text) == NULL) == absent) batch_keep(b, kept++, i);
    }
    b->count = kept;
}

void set_batch_filter(struct set_batch *b, const struct set *s, bool absent)
{
    if (s->encoding == ENCODING_HASHTABLE) {
        batch_filter_table(b, s->object, absent);
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++)
        if (set_contains(s, &b->members[i]) != absent) batch_keep(b, kept++, i);
    b->count = kept;
}

/* --- at random, scanning --- */

void set_random(const struct set *s, struct random_state *random, struct packed_value *out)
{
    if (s->encoding == ENCODING_HASHTABLE)
        *out = member_value(member_table_random(s->object, random));
    else if (s->encoding == ENCODING_LISTPACK)
        *out = listpack_get(listpack_seek(s->object, (int64_t)random_below(random, listpack_length(s->object))));
    else
        *out = packed_integer(intset_random(s->object, random));
}

struct visitor {
    set_visit *visit;
    void *arg;
};

static void visit_member(void *arg, struct member *m)
{
    const struct visitor *v = arg;
    struct packed_value member = member_value(m);
    v->visit(v->arg, &member);
}

void set_sample(const struct set *s, size_t count, struct random_state *random, set_visit *visit, void *arg)
{
    if (s->encoding == ENCODING_HASHTABLE) {
        struct visitor v = {visit, arg};
        member_table_sample(s->object, count, random, visit_member, &v);
        return;
    }
    size_t all = set_count(s);
    struct sampler sampler = {count < all ? count : all, all};
    struct set_walk w;
    struct packed_value member;
    set_walk_start(&w, s);
    while (set_walk_next(&w, &member))
        if (sampler_takes(&sampler, random)) visit(arg, &member);
}

uint64_t set_scan(const struct set *s, uint64_t cursor, size_t count, set_visit *visit, void *arg)
{
    if (s->encoding == ENCODING_HASHTABLE) {
        struct visitor v = {visit, arg};
        return member_table_scan(s->object, cursor, count, visit_member, &v);
    }
    struct set_walk w;
    struct packed_value member;
    set_walk_start(&w, s);
    while (set_walk_next(&w, &member)) visit(arg, &member);
    return 0;
}

/* --- the row of operations --- */

static size_t payload_bytes(const struct member *m)
{
    (void)m;
    return 0;
}

static void *copy_object(const void *object, enum value_encoding encoding)
{
    return flat_or_table_copy(object, encoding, payload_bytes);
}

static void digest_object(const void *object, enum value_encoding encoding, uint8_t digest[DIGEST_BYTES])
{
    struct set s = {.encoding = encoding, .object = (void *)(uintptr_t)object};
    struct set_walk w;
    struct packed_value member;
    char scratch[I64_TEXT_MAX];
    set_walk_start(&w, &s);
    while (set_walk_next(&w, &member)) digest_xor(digest, packed_text(&member, scratch));
}

void set_register(void)
{
    static const struct value_ops ops = {flat_or_table_free,        copy_object,   flat_or_table_memory,
                                         flat_or_table_free_effort, digest_object, flat_or_table_prefetch};
    value_ops_register(TYPE_SET, &ops);
}
