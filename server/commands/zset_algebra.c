/* Sorted sets and sets combined: union, intersection, difference, to the client or to a key. Server process.
 *
 * Members of sets count as having score 1. What comes out is ordered once, at the end, by a builder. */
#include "server/base/alloc.h"
#include "server/commands/set_key.h"
#include "server/commands/tables.h"
#include "server/commands/zset_key.h"
#include "server/core/command/command_table.h"
#include "server/data/zset_builder.h"

#include <math.h>
#include <stdlib.h>

enum operation { UNION, INTERSECTION, DIFFERENCE };

/* --- sources --- */

struct source {
    enum { ABSENT, SET, ZSET } kind;
    struct set set;
    struct zset zset;
    size_t count;
    double weight;
};

struct source_walk {
    bool of_set;
    union {
        struct set_walk set;
        struct zset_walk zset;
    };
};

static void source_walk_start(struct source_walk *w, const struct source *s)
{
    w->of_set = s->kind == SET;
    if (w->of_set)
        set_walk_start(&w->set, &s->set);
    else
        zset_walk_start(&w->zset, &s->zset, 0, false);
}

static bool source_walk_next(struct source_walk *w, struct zset_entry *out)
{
    if (!w->of_set) return zset_walk_next(&w->zset, out);
    out->score = 1;
    return set_walk_next(&w->set, &out->member);
}

static bool source_score(const struct source *s, const struct packed_value *member, double *score)
{
    *score = 1;
    if (s->kind == ZSET) return zset_score(&s->zset, member, score);
    return s->kind == SET && set_contains(&s->set, member);
}

static int smaller_first(const void *a, const void *b)
{
    const struct source *left = a, *right = b;
    return left->count < right->count ? -1 : left->count > right->count;
}

static int larger_first(const void *a, const void *b)
{
    return smaller_first(b, a);
}

/* --- arguments --- */

struct algebra {
    enum operation operation;
    const char *store_event; /* NULL: the members are the answer */
    bool only_count;         /* ZINTERCARD */
    uint32_t count;
    struct source *sources;
    double (*combine)(double own, double other);
    bool with_scores;
    uint64_t limit; /* of what is counted, 0: none */
};

static double combine_sum(double own, double other)
{
    double sum = own + other;
    return isnan(sum) ? 0 : sum; /* infinities of both signs */
}

static double combine_min(double own, double other)
{
    return other < own ? other : own;
}

static double combine_max(double own, double other)
{
    return other > own ? other : own;
}

static double weighted(const struct source *s, double score)
{
    double product = s->weight * score;
    return isnan(product) ? 0 : product; /* an infinite score without weight */
}

/* False: one of the keys holds another type, answered. */
static bool read_source(struct call *call, uint32_t arg, struct source *s)
{
    const struct record *r = call_find_read(call, arg);
    *s = (struct source){.kind = ABSENT, .weight = 1};
    if (!r) return true;
    if (record_type(r) == TYPE_SET) {
        s->kind = SET;
        s->set = set_at(r);
        s->count = set_count(&s->set);
        return true;
    }
    if (call_wrong_type(call, r, TYPE_ZSET)) return false;
    s->kind = ZSET;
    s->zset = zset_at(r);
    s->count = zset_count(&s->zset);
    return true;
}

static bool read_aggregate(struct call *call, uint32_t arg, struct algebra *a)
{
    if (call_arg_is(call, arg, "sum"))
        a->combine = combine_sum;
    else if (call_arg_is(call, arg, "min"))
        a->combine = combine_min;
    else if (call_arg_is(call, arg, "max"))
        a->combine = combine_max;
    else
        return call_syntax_error(call), false;
    return true;
}

static bool read_weights(struct call *call, uint32_t first, struct algebra *a)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (!call_arg_double(call, first + i, &a->sources[i].weight, "ERR weight value is not a float")) return false;
    return true;
}

/* One option at *i, which moves to its last argument. False: answered. */
static bool read_option(struct call *call, uint32_t *i, struct algebra *a)
{
    uint32_t left = call->argc - *i - 1;
    bool combines = a->operation != DIFFERENCE && !a->only_count;
    if (combines && left >= a->count && call_arg_is(call, *i, "weights")) {
        *i += a->count;
        return read_weights(call, *i + 1 - a->count, a);
    }
    if (combines && left >= 1 && call_arg_is(call, *i, "aggregate")) return read_aggregate(call, ++*i, a);
    if (!a->store_event && !a->only_count && call_arg_is(call, *i, "withscores")) return a->with_scores = true;
    if (a->only_count && left >= 1 && call_arg_is(call, *i, "limit")) {
        int64_t limit;
        if (!call_arg_range(call, ++*i, 0, INT64_MAX, &limit, "ERR LIMIT can't be negative")) return false;
        a->limit = (uint64_t)limit;
        return true;
    }
    return call_syntax_error(call), false;
}

/* numkeys key... and options, from argument `at` on. False: answered. */
static bool read_arguments(struct call *call, uint32_t at, struct algebra *a)
{
    int64_t keys;
    if (!call_arg_i64(call, at, &keys, NULL)) return false;
    if (keys < 1) {
        reply_errorf(call->reply, "ERR at least 1 input key is needed for '%s' command", call->command->full_name);
        return false;
    }
    if (keys > (int64_t)(call->argc - at - 1)) return call_syntax_error(call), false;
    a->count = (uint32_t)keys;
    a->sources = mem_alloc(a->count * sizeof *a->sources);
    for (uint32_t i = 0; i < a->count; i++)
        if (!read_source(call, at + 1 + i, &a->sources[i])) return false;
    for (uint32_t i = at + 1 + a->count; i < call->argc; i++)
        if (!read_option(call, &i, a)) return false;
    return true;
}

/* --- combining --- */

static void unite(const struct algebra *a, struct zset_builder *b)
{
    qsort(a->sources, a->count, sizeof *a->sources, smaller_first);
    for (uint32_t i = 0; i < a->count; i++) {
        struct source_walk w;
        struct zset_entry e;
        if (a->sources[i].kind == ABSENT) continue;
        for (source_walk_start(&w, &a->sources[i]); source_walk_next(&w, &e);)
            zset_builder_merge(b, &e.member, weighted(&a->sources[i], e.score), a->combine);
    }
}

/* The next member that all have, with its score. */
static bool next_common(struct source_walk *w, const struct algebra *a, struct zset_entry *out)
{
    while (source_walk_next(w, out)) {
        uint32_t i = 1;
        double score, sum = weighted(&a->sources[0], out->score);
        for (; i < a->count && source_score(&a->sources[i], &out->member, &score); i++)
            sum = a->combine(sum, a->sources[i].weight * score);
        out->score = sum;
        if (i == a->count) return true;
    }
    return false;
}

/* Begins the walk over the smallest source. False: one of them is empty, and so is the intersection. */
static bool intersection_start(const struct algebra *a, struct source_walk *w)
{
    qsort(a->sources, a->count, sizeof *a->sources, smaller_first);
    if (a->sources[0].kind == ABSENT) return false;
    source_walk_start(w, &a->sources[0]);
    return true;
}

static void intersect(const struct algebra *a, struct zset_builder *b)
{
    struct source_walk w;
    struct zset_entry e;
    if (!intersection_start(a, &w)) return;
    while (next_common(&w, a, &e)) zset_builder_add(b, &e.member, e.score);
}

static uint64_t count_common(const struct algebra *a)
{
    struct source_walk w;
    struct zset_entry e;
    uint64_t count = 0;
    if (!intersection_start(a, &w)) return 0;
    while ((!a->limit || count < a->limit) && next_common(&w, a, &e)) count++;
    return count;
}

static void subtract(const struct algebra *a, struct zset_builder *b)
{
    struct source_walk w;
    struct zset_entry e;
    if (a->sources[0].kind == ABSENT) return;
    qsort(a->sources + 1, a->count - 1, sizeof *a->sources, larger_first); /* the likeliest to know a member first */
    for (source_walk_start(&w, &a->sources[0]); source_walk_next(&w, &e);) {
        double score;
        uint32_t i = 1;
        while (i < a->count && !source_score(&a->sources[i], &e.member, &score)) i++;
        if (i == a->count) zset_builder_add(b, &e.member, e.score);
    }
}

/* --- answering --- */

static void reply_result(struct call *call, struct zset_builder *b, bool with_scores)
{
    const struct skiplist_entry *sorted = zset_builder_sort(b);
    reply_zset_entries(call->reply, b->count, with_scores);
    for (size_t i = 0; i < b->count; i++) {
        struct bytes member = member_key(sorted[i].member);
        struct zset_entry e = {packed_string(member.ptr, member.len), sorted[i].score};
        reply_zset_entry(call->reply, &e, with_scores);
    }
    zset_builder_free(b);
}

static void store_result(struct call *call, struct zset_builder *b, const char *event)
{
    reply_integer(call->reply, (int64_t)b->count);
    if (b->count) {
        struct zset result = zset_builder_finish(b);
        zset_key_replace(call, 1, &result, event);
    } else {
        zset_builder_free(b);
        zset_key_replace(call, 1, NULL, event);
    }
}

static void run(struct call *call, const struct algebra *a)
{
    struct zset_builder b;
    if (a->only_count) return reply_integer(call->reply, (int64_t)count_common(a));
    zset_builder_init(&b, 0);
    switch (a->operation) {
    case UNION: unite(a, &b); break;
    case INTERSECTION: intersect(a, &b); break;
    case DIFFERENCE: subtract(a, &b); break;
    }
    if (a->store_event)
        store_result(call, &b, a->store_event);
    else
        reply_result(call, &b, a->with_scores);
}

static void algebra(struct call *call, uint32_t at, struct algebra a)
{
    a.combine = combine_sum;
    if (read_arguments(call, at, &a)) run(call, &a);
    mem_free(a.sources);
}

static void zunion_command(struct call *call)
{
    algebra(call, 1, (struct algebra){.operation = UNION});
}

static void zunionstore_command(struct call *call)
{
    algebra(call, 2, (struct algebra){.operation = UNION, .store_event = "zunionstore"});
}

static void zinter_command(struct call *call)
{
    algebra(call, 1, (struct algebra){.operation = INTERSECTION});
}

static void zinterstore_command(struct call *call)
{
    algebra(call, 2, (struct algebra){.operation = INTERSECTION, .store_event = "zinterstore"});
}

static void zintercard_command(struct call *call)
{
    algebra(call, 1, (struct algebra){.operation = INTERSECTION, .only_count = true});
}

static void zdiff_command(struct call *call)
{
    algebra(call, 1, (struct algebra){.operation = DIFFERENCE});
}

static void zdiffstore_command(struct call *call)
{
    algebra(call, 2, (struct algebra){.operation = DIFFERENCE, .store_event = "zdiffstore"});
}

#define SOURCES                 KEYS(KEYS_COUNTED_AT(1, KEY_RO | KEY_ACCESS))
#define DESTINATION_AND_SOURCES KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE), KEYS_COUNTED_AT(2, KEY_RO | KEY_ACCESS))

const struct command zset_algebra_commands[] = {
    {"zunion", zunion_command, -3, CMD_READONLY | CMD_MOVABLE_KEYS, CAT_SORTEDSET, SOURCES},
    {"zunionstore", zunionstore_command, -4, CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, CAT_SORTEDSET,
     DESTINATION_AND_SOURCES},
    {"zinter", zinter_command, -3, CMD_READONLY | CMD_MOVABLE_KEYS, CAT_SORTEDSET, SOURCES},
    {"zinterstore", zinterstore_command, -4, CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, CAT_SORTEDSET,
     DESTINATION_AND_SOURCES},
    {"zintercard", zintercard_command, -3, CMD_READONLY | CMD_MOVABLE_KEYS, CAT_SORTEDSET, SOURCES},
    {"zdiff", zdiff_command, -3, CMD_READONLY | CMD_MOVABLE_KEYS, CAT_SORTEDSET, SOURCES},
    {"zdiffstore", zdiffstore_command, -4, CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, CAT_SORTEDSET,
     DESTINATION_AND_SOURCES},
    {.name = NULL},
};
