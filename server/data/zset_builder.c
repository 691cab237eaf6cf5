/* Building sorted sets. Server process, and redis-check-rdb. */
#include "server/data/zset_builder.h"

#include "server/base/alloc.h"
#include "server/data/listpack.h"

#include <stdlib.h>

#define LEAST_CAPACITY 16
#define SCORE_BYTES    24 /* what a score takes in a listpack, about */

void zset_builder_init(struct zset_builder *b, size_t expected)
{
    *b = (struct zset_builder){.capacity = expected < LEAST_CAPACITY ? LEAST_CAPACITY : expected};
    b->tree = mem_alloc(sizeof *b->tree);
    b->order = mem_alloc(b->capacity * sizeof *b->order);
    member_table_init(&b->tree->table);
    skiplist_init(&b->tree->list);
    if (expected) member_table_reserve(&b->tree->table, expected);
}

void zset_builder_free(struct zset_builder *b)
{
    member_table_free(&b->tree->table);
    mem_free(b->tree);
    mem_free(b->order);
}

static void append(struct zset_builder *b, uint64_t hash, struct bytes text, double score)
{
    if (b->count == b->capacity) {
        b->capacity *= 2;
        b->order = mem_realloc(b->order, b->capacity * sizeof *b->order);
    }
    struct member *m = member_table_insert(&b->tree->table, hash, text, sizeof score);
    member_set_score(m, score);
    b->order[b->count++].member = m;
    if (text.len > b->longest_bytes) b->longest_bytes = text.len;
    b->total_bytes += text.len + SCORE_BYTES;
}

bool zset_builder_add(struct zset_builder *b, const struct packed_value *member, double score)
{
    char scratch[I64_TEXT_MAX];
    struct bytes text = packed_text(member, scratch);
    uint64_t hash = member_hash(text);
    if (member_table_find(&b->tree->table, hash, text)) return false;
    append(b, hash, text, score);
    return true;
}

void zset_builder_merge(struct zset_builder *b, const struct packed_value *member, double score,
                        double (*combine)(double own, double other))
{
    char scratch[I64_TEXT_MAX];
    struct bytes text = packed_text(member, scratch);
    uint64_t hash = member_hash(text);
    struct member *m = member_table_find(&b->tree->table, hash, text);
    if (m)
        member_set_score(m, combine(member_score(m), score));
    else
        append(b, hash, text, score);
}

static int by_order(const void *a, const void *b)
{
    return skiplist_compare(a, b);
}

static void reverse(struct skiplist_entry *e, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct skiplist_entry swapped = e[i];
        e[i] = e[count - 1 - i];
        e[count - 1 - i] = swapped;
    }
}

/* Files hold members in order, or from the last to the first. */
const struct skiplist_entry *zset_builder_sort(struct zset_builder *b)
{
    struct skiplist_entry *e = b->order;
    bool ascending = true, descending = true;
    for (size_t i = 0; i < b->count; i++) {
        e[i].score = member_score(e[i].member);
        if (i == 0 || (!ascending && !descending)) continue;
        int order = skiplist_compare(&e[i - 1], &e[i]);
        ascending &= order < 0;
        descending &= order > 0;
    }
    if (descending && !ascending)
        reverse(e, b->count);
    else if (!ascending)
        qsort(e, b->count, sizeof *e, by_order);
    return e;
}

static struct zset pack(struct zset_builder *b)
{
    char text[DOUBLE_TEXT_MAX];
    uint8_t *lp = listpack_new(b->total_bytes);
    for (size_t i = 0; i < b->count; i++) {
        lp = listpack_append(lp, packed_from(member_key(b->order[i].member)));
        lp = listpack_append(lp, zset_pack_score(b->order[i].score, text));
    }
    zset_builder_free(b);
    return (struct zset){.encoding = ENCODING_LISTPACK, .object = listpack_shrink(lp)};
}

struct zset zset_builder_finish(struct zset_builder *b)
{
    const struct skiplist_entry *sorted = zset_builder_sort(b);
    if (zset_packed_fits(b->count, b->longest_bytes, b->total_bytes)) return pack(b);
    struct zset_tree *tree = b->tree;
    skiplist_fill(&tree->list, sorted, b->count);
    mem_free(b->order);
    return (struct zset){.encoding = ENCODING_SKIPLIST, .object = tree};
}
