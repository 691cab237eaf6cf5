/* Sorted sets in their two encodings. Server process; the snapshot child walks them. */
#include "server/data/zset.h"

#include "server/base/alloc.h"
#include "server/data/digest.h"
#include "server/data/flat.h"
#include "server/data/sample.h"
#include "server/data/settings.h"
#include "server/data/zset_builder.h"

#include <math.h>
#include <stdio.h>

#define WHOLE_MAX 9007199254740992.0 /* up to here every whole double is one integer */

static struct zset_tree *tree_of(const struct zset *z)
{
    return z->object;
}

/* --- scores in a listpack --- */

struct packed_value zset_pack_score(double score, char text[DOUBLE_TEXT_MAX])
{
    if (fabs(score) <= WHOLE_MAX && score == (double)(int64_t)score) return packed_integer((int64_t)score);
    return packed_string(text, format_double(text, score));
}

bool zset_unpack_score(const struct packed_value *packed, double *score)
{
    if (packed->ptr) return parse_double(bytes_make(packed->ptr, packed->len), score) == 0;
    *score = (double)packed->integer;
    return true;
}

static double unpack(const struct packed_value *packed)
{
    double score = 0;
    zset_unpack_score(packed, &score); /* only numbers get in */
    return score;
}

/* Reads the pair whose member is here; returns where the next one is, LISTPACK_END at the end. */
static const uint8_t *read_pair(const uint8_t *element, struct zset_entry *out)
{
    struct packed_value score;
    const uint8_t *next = listpack_read(listpack_read(element, &out->member), &score);
    out->score = unpack(&score);
    return next;
}

static struct zset_entry entry_of(const struct member *m)
{
    struct bytes key = member_key(m);
    return (struct zset_entry){packed_string(key.ptr, key.len), member_score(m)};
}

/* --- making --- */

bool zset_packed_fits(size_t members, size_t longest_bytes, size_t total_bytes)
{
    return members <= data_settings->zset_max_listpack_entries &&
           longest_bytes <= data_settings->zset_max_listpack_value_bytes && total_bytes <= LISTPACK_MAX_BYTES;
}

static struct zset_tree *tree_new(void)
{
    struct zset_tree *tree = mem_alloc(sizeof *tree);
    member_table_init(&tree->table);
    skiplist_init(&tree->list);
    return tree;
}

struct zset zset_new(size_t first_member_bytes)
{
    if (zset_packed_fits(1, first_member_bytes, first_member_bytes))
        return (struct zset){.encoding = ENCODING_LISTPACK, .object = listpack_new(0)};
    return (struct zset){.encoding = ENCODING_SKIPLIST, .object = tree_new()};
}

void zset_free(struct zset *z)
{
    if (z->inside) return;
    if (z->encoding == ENCODING_LISTPACK) {
        listpack_free(z->object);
    } else {
        skiplist_free(&tree_of(z)->list);
        member_table_free(&tree_of(z)->table);
        mem_free(z->object);
    }
}

size_t zset_count(const struct zset *z)
{
    if (z->encoding == ENCODING_LISTPACK) return listpack_length(z->object) / 2;
    return tree_of(z)->list.count;
}

/* The same as a tree; `from` stays as it is. */
static struct zset_tree *make_tree(const struct zset *from)
{
    size_t count = zset_count(from), i = 0;
    struct skiplist_entry *order = mem_alloc((count + 1) * sizeof *order);
    struct zset_tree *tree = tree_new();
    struct zset_walk w;
    struct zset_entry e;
    char scratch[I64_TEXT_MAX];
    member_table_reserve(&tree->table, count + 1);
    for (zset_walk_start(&w, from, 0, false); zset_walk_next(&w, &e); i++) {
        struct bytes text = packed_text(&e.member, scratch);
        struct member *m = member_table_insert(&tree->table, member_hash(text), text, sizeof e.score);
        member_set_score(m, e.score);
        order[i] = (struct skiplist_entry){e.score, m};
    }
    skiplist_fill(&tree->list, order, count);
    mem_free(order);
    return tree;
}

static void convert_to_tree(struct zset *z)
{
    struct zset_tree *tree = make_tree(z);
    zset_free(z);
    *z = (struct zset){.encoding = ENCODING_SKIPLIST, .object = tree};
}

/* --- order --- */

static bool stands_before(const struct zset_entry *e, const struct skiplist_bound *b)
{
    char scratch[I64_TEXT_MAX];
    int order = b->order == SKIPLIST_BY_KEY || e->score == b->score ? 0 : e->score < b->score ? -1 : 1;
    if (order == 0 && b->order != SKIPLIST_BY_SCORE) order = bytes_compare(packed_text(&e->member, scratch), b->key);
    return order < 0 || (order == 0 && b->after);
}

size_t zset_rank_of(const struct zset *z, const struct skiplist_bound *bound, size_t from)
{
    if (z->encoding == ENCODING_SKIPLIST) {
        size_t rank = skiplist_rank_of(&tree_of(z)->list, bound);
        return rank > from ? rank : from;
    }
    struct zset_walk w;
    struct zset_entry e;
    size_t rank = from;
    for (zset_walk_start(&w, z, from, false); zset_walk_next(&w, &e) && stands_before(&e, bound);) rank++;
    return rank;
}

/* --- one member --- */

static bool packed_find(uint8_t *lp, struct bytes member, struct zset_place *place, double *score)
{
    place->element = listpack_find(lp, listpack_first(lp), packed_from(member), 1);
    if (!place->element) return false;
    struct packed_value packed = listpack_get(listpack_next(lp, place->element));
    *score = unpack(&packed);
    return true;
}

bool zset_find(const struct zset *z, struct bytes member, struct zset_place *place, double *score)
{
    if (z->encoding == ENCODING_LISTPACK) return packed_find(z->object, member, place, score);
    place->hash = member_hash(member);
    place->member = member_table_find(&tree_of(z)->table, place->hash, member);
    if (place->member) *score = member_score(place->member);
    return place->member != NULL;
}

bool zset_score(const struct zset *z, const struct packed_value *member, double *score)
{
    char scratch[I64_TEXT_MAX];
    struct zset_place place;
    return zset_find(z, packed_text(member, scratch), &place, score);
}

static uint8_t *own(struct zset *z, const uint8_t *place)
{
    return flat_object_own(z->encoding, &z->object, &z->inside, place);
}

/* Puts a pair where it belongs. */
static uint8_t *packed_insert(uint8_t *lp, struct packed_value member, double score)
{
    char scratch[I64_TEXT_MAX], text[DOUBLE_TEXT_MAX];
    struct skiplist_bound place = {SKIPLIST_BY_BOTH, false, score, packed_text(&member, scratch)};
    struct packed_value packed = zset_pack_score(score, text);
    const uint8_t *at = lp + LISTPACK_HEADER_BYTES;
    while (*at != LISTPACK_END) {
        struct zset_entry e;
        const uint8_t *next = read_pair(at, &e);
        if (!stands_before(&e, &place)) break;
        at = next;
    }
    if (*at == LISTPACK_END) return listpack_append_several(lp, (struct packed_value[]){member, packed}, 2);
    uint8_t *element = lp + (at - lp);
    lp = listpack_insert_before(lp, &element, packed);
    element = listpack_prev(lp, element);
    return listpack_insert_before(lp, &element, member);
}

static void tree_add(struct zset_tree *tree, uint64_t hash, struct bytes member, double score)
{
    struct member *m = member_table_insert(&tree->table, hash, member, sizeof score);
    member_set_score(m, score);
    skiplist_insert(&tree->list, score, m);
}

void zset_add_new(struct zset *z, const struct packed_value *member, double score)
{
    char scratch[I64_TEXT_MAX];
    struct bytes text = packed_text(member, scratch);
    if (z->encoding == ENCODING_LISTPACK) {
        size_t total = listpack_bytes(z->object) + text.len + DOUBLE_TEXT_MAX;
        if (zset_packed_fits(zset_count(z) + 1, text.len, total)) {
            own(z, NULL);
            z->object = packed_insert(z->object, member->ptr ? packed_from(text) : *member, score);
            return;
        }
        convert_to_tree(z);
    }
    tree_add(tree_of(z), member_hash(text), text, score);
}

void zset_add(struct zset *z, struct bytes member, const struct zset_place *absent, double score)
{
    if (z->encoding == ENCODING_SKIPLIST) {
        tree_add(tree_of(z), absent->hash, member, score);
        return;
    }
    struct packed_value packed = packed_string(member.len ? (const void *)member.ptr : "", member.len);
    zset_add_new(z, &packed, score);
}

/* May the pair here have this score and stay where it is? */
static bool keeps_its_place(const uint8_t *lp, const uint8_t *element, struct bytes member, double score)
{
    struct skiplist_bound place = {SKIPLIST_BY_BOTH, false, score, member};
    struct zset_entry other;
    const uint8_t *before = listpack_prev(lp, element);
    if (before) {
        read_pair(listpack_prev(lp, before), &other);
        if (!stands_before(&other, &place)) return false;
    }
    const uint8_t *after = read_pair(element, &other);
    if (*after == LISTPACK_END) return true;
    read_pair(after, &other);
    return !stands_before(&other, &place);
}

static void packed_move(struct zset *z, struct bytes member, uint8_t *element, double score)
{
    char text[DOUBLE_TEXT_MAX];
    if (keeps_its_place(z->object, element, member, score)) {
        struct packed_value packed = zset_pack_score(score, text);
        uint8_t *at = listpack_next(z->object, element);
        if (!flat_value_fits(at, packed)) at = own(z, at);
        z->object = listpack_replace(z->object, &at, packed);
    } else {
        element = own(z, element);
        z->object = packed_insert(listpack_delete_run(z->object, &element, 2), packed_from(member), score);
    }
}

void zset_move(struct zset *z, struct bytes member, const struct zset_place *found, double from, double to)
{
    if (z->encoding == ENCODING_LISTPACK) {
        packed_move(z, member, found->element, to);
    } else {
        skiplist_move(&tree_of(z)->list, found->member, from, to);
        member_set_score(found->member, to);
    }
}

void zset_remove(struct zset *z, const struct zset_place *found, double score)
{
    if (z->encoding == ENCODING_LISTPACK) {
        uint8_t *element = own(z, found->element);
        z->object = listpack_delete_run(z->object, &element, 2);
    } else {
        skiplist_remove(&tree_of(z)->list, score, found->member);
        member_table_remove(&tree_of(z)->table, found->hash, found->member);
    }
}

bool zset_rank(const struct zset *z, struct bytes member, size_t *rank, double *score)
{
    struct zset_place place;
    if (z->encoding == ENCODING_SKIPLIST) {
        if (!zset_find(z, member, &place, score)) return false;
        struct skiplist_bound bound = {SKIPLIST_BY_BOTH, false, *score, member};
        *rank = skiplist_rank_of(&tree_of(z)->list, &bound);
        return true;
    }
    struct packed_value wanted = packed_from(member);
    struct zset_walk w;
    struct zset_entry e;
    *rank = 0;
    for (zset_walk_start(&w, z, 0, false); zset_walk_next(&w, &e); ++*rank) {
        if (!packed_equal(&e.member, &wanted)) continue;
        *score = e.score;
        return true;
    }
    return false;
}

static void remove_from_table(void *arg, struct member *m)
{
    member_table_remove(arg, member_hash(member_key(m)), m);
}

void zset_remove_ranks(struct zset *z, size_t rank, size_t count)
{
    if (z->encoding == ENCODING_SKIPLIST) {
        skiplist_remove_ranks(&tree_of(z)->list, rank, count, remove_from_table, &tree_of(z)->table);
        return;
    }
    own(z, NULL);
    z->object = listpack_delete_range(z->object, (int64_t)rank * 2, count * 2);
}

/* --- walking --- */

void zset_walk_start(struct zset_walk *w, const struct zset *z, size_t rank, bool reverse)
{
    w->packed = z->encoding == ENCODING_LISTPACK;
    w->reverse = reverse;
    w->listpack = z->object;
    if (w->packed)
        w->element = listpack_seek(z->object, (int64_t)rank * 2);
    else
        w->at = skiplist_at(&tree_of(z)->list, rank);
}

static bool packed_walk_next(struct zset_walk *w, struct zset_entry *out)
{
    const uint8_t *here = w->element;
    if (!here) return false;
    const uint8_t *next = read_pair(here, out);
    if (!w->reverse) {
        w->element = *next == LISTPACK_END ? NULL : next;
    } else {
        const uint8_t *score = listpack_prev(w->listpack, here);
        w->element = score ? listpack_prev(w->listpack, score) : NULL;
    }
    return true;
}

bool zset_walk_next(struct zset_walk *w, struct zset_entry *out)
{
    if (w->packed) return packed_walk_next(w, out);
    const struct skiplist_entry *e = w->reverse ? skiplist_previous(&w->at) : skiplist_next(&w->at);
    if (!e) return false;
    struct bytes key = member_key(e->member);
    *out = (struct zset_entry){packed_string(key.ptr, key.len), e->score};
    return true;
}

void zset_random(const struct zset *z, struct random_state *random, struct zset_entry *out)
{
    if (z->encoding == ENCODING_SKIPLIST)
        *out = entry_of(member_table_random(&tree_of(z)->table, random));
    else
        read_pair(listpack_seek(z->object, (int64_t)random_below(random, zset_count(z)) * 2), out);
}

struct visitor {
    zset_visit *visit;
    void *arg;
};

static void visit_member(void *arg, struct member *m)
{
    const struct visitor *v = arg;
    struct zset_entry e = entry_of(m);
    v->visit(v->arg, &e);
}

void zset_sample(const struct zset *z, size_t count, struct random_state *random, zset_visit *visit, void *arg)
{
    if (z->encoding == ENCODING_SKIPLIST) {
        struct visitor v = {visit, arg};
        member_table_sample(&tree_of(z)->table, count, random, visit_member, &v);
        return;
    }
    size_t all = zset_count(z);
    struct sampler s = {count < all ? count : all, all};
    struct zset_walk w;
    struct zset_entry e;
    for (zset_walk_start(&w, z, 0, false); zset_walk_next(&w, &e);)
        if (sampler_takes(&s, random)) visit(arg, &e);
}

uint64_t zset_scan(const struct zset *z, uint64_t cursor, size_t count, zset_visit *visit, void *arg)
{
    if (z->encoding == ENCODING_SKIPLIST) {
        struct visitor v = {visit, arg};
        return member_table_scan(&tree_of(z)->table, cursor, count, visit_member, &v);
    }
    struct zset_walk w;
    struct zset_entry e;
    for (zset_walk_start(&w, z, 0, false); zset_walk_next(&w, &e);) visit(arg, &e);
    return 0;
}

/* --- the row of operations --- */

static void free_object(void *object, enum value_encoding encoding)
{
    struct zset z = {.encoding = encoding, .object = object};
    zset_free(&z);
}

static void *copy_object(const void *object, enum value_encoding encoding)
{
    struct zset z = {.encoding = encoding, .object = (void *)(uintptr_t)object};
    return encoding == ENCODING_LISTPACK ? (void *)listpack_copy(object) : make_tree(&z);
}

static size_t object_memory(const void *object, enum value_encoding encoding, size_t samples)
{
    const struct zset_tree *tree = object;
    if (encoding == ENCODING_LISTPACK) return mem_size(object);
    return mem_size(object) + member_table_memory(&tree->table, samples) + skiplist_memory(&tree->list);
}

static size_t object_free_effort(const void *object, enum value_encoding encoding)
{
    return encoding == ENCODING_LISTPACK ? 1 : ((const struct zset_tree *)object)->list.count;
}

static bool prefetch_member(const void *object, enum value_encoding encoding, uint64_t hash, unsigned step)
{
    if (encoding == ENCODING_SKIPLIST)
        return member_table_prefetch(&((const struct zset_tree *)object)->table, hash, step);
    flat_object_prefetch(object);
    return false;
}

static void digest_object(const void *object, enum value_encoding encoding, uint8_t digest[DIGEST_BYTES])
{
    struct zset z = {.encoding = encoding, .object = (void *)(uintptr_t)object};
    struct zset_walk w;
    struct zset_entry e;
    char scratch[I64_TEXT_MAX], score[64];
    for (zset_walk_start(&w, &z, 0, false); zset_walk_next(&w, &e);) {
        uint8_t own[DIGEST_BYTES] = {0};
        digest_mix(own, packed_text(&e.member, scratch));
        digest_mix(own, bytes_make(score, (size_t)snprintf(score, sizeof score, "%.17g", e.score)));
        digest_xor(digest, bytes_make(own, sizeof own));
    }
}

void zset_register(void)
{
    static const struct value_ops ops = {free_object,        copy_object,   object_memory,
                                         object_free_effort, digest_object, prefetch_member};
    value_ops_register(TYPE_ZSET, &ops);
}
