/* Ranges of sorted sets: answered, counted, stored, removed. Server process. */
#include "server/commands/tables.h"
#include "server/commands/zset_interval.h"
#include "server/commands/zset_key.h"
#include "server/data/zset_builder.h"

/* --- ZRANGE and its many names --- */

#define NO_LIMIT (-1)

struct range_options {
    enum zset_range_kind kind;
    bool reverse, with_scores;
    int64_t offset, limit; /* limit negative: none */
};

/* What a command's name leaves open. */
struct range_grammar {
    bool any_kind, any_direction, may_have_scores;
};

static bool read_option(struct call *call, uint32_t *i, const struct range_grammar *g, struct range_options *o,
                        bool *kind_given)
{
    uint32_t left = call->argc - *i - 1;
    if (g->may_have_scores && call_arg_is(call, *i, "withscores")) {
        o->with_scores = true;
    } else if (left >= 2 && call_arg_is(call, *i, "limit")) {
        if (!call_arg_i64(call, *i + 1, &o->offset, NULL) || !call_arg_i64(call, *i + 2, &o->limit, NULL)) return false;
        *i += 2;
    } else if (g->any_direction && !o->reverse && call_arg_is(call, *i, "rev")) {
        o->reverse = true;
    } else if (g->any_kind && !*kind_given && call_arg_is(call, *i, "bylex")) {
        o->kind = RANGE_BY_LEX;
        *kind_given = true;
    } else if (g->any_kind && !*kind_given && call_arg_is(call, *i, "byscore")) {
        o->kind = RANGE_BY_SCORE;
        *kind_given = true;
    } else {
        return call_syntax_error(call), false;
    }
    return true;
}

static bool read_options(struct call *call, uint32_t first, const struct range_grammar *g, struct range_options *o)
{
    bool kind_given = false;
    for (uint32_t i = first; i < call->argc; i++)
        if (!read_option(call, &i, g, o, &kind_given)) return false;
    if (o->limit != NO_LIMIT && o->kind == RANGE_BY_RANK) {
        reply_error(call->reply,
                    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
        return false;
    }
    if (o->with_scores && o->kind == RANGE_BY_LEX) {
        reply_error(call->reply, "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
        return false;
    }
    return true;
}

static struct zset_interval limit_interval(struct zset_interval v, const struct range_options *o)
{
    if (o->kind == RANGE_BY_RANK) return v;
    if (o->offset < 0 || (uint64_t)o->offset >= v.count) return (struct zset_interval){0};
    size_t offset = (size_t)o->offset, count = v.count - offset;
    if (o->limit >= 0 && (uint64_t)o->limit < count) count = (size_t)o->limit;
    return (struct zset_interval){o->reverse ? v.first + v.count - offset - count : v.first + offset, count};
}

/* The interval that argv[key_arg ...] asks for, NULL record when there is none. False: answered. */
static bool find_interval(struct call *call, uint32_t key_arg, const struct range_options *o, struct record **r,
                          struct zset *z, struct zset_interval *v)
{
    struct zset_range range = {0};
    bool swapped = o->reverse && o->kind != RANGE_BY_RANK; /* the high end stands first */
    uint32_t low = key_arg + (swapped ? 2 : 1), high = key_arg + (swapped ? 1 : 2);
    if (!zset_range_read(call, o->kind, low, high, &range) || !zset_key_find(call, key_arg, r, z)) return false;
    *v = *r ? limit_interval(zset_range_resolve(&range, z, o->reverse), o) : (struct zset_interval){0};
    return true;
}

static void reply_interval(struct call *call, const struct zset *z, struct zset_interval v,
                           const struct range_options *o)
{
    struct zset_walk w;
    struct zset_entry e;
    reply_zset_entries(call->reply, v.count, o->with_scores);
    if (!v.count) return;
    zset_walk_start(&w, z, o->reverse ? v.first + v.count - 1 : v.first, o->reverse);
    for (size_t i = 0; i < v.count && !reply_unheard(call->reply) && zset_walk_next(&w, &e); i++)
        reply_zset_entry(call->reply, &e, o->with_scores);
}

static void range(struct call *call, const struct range_grammar *g, struct range_options o)
{
    struct record *r;
    struct zset z;
    struct zset_interval v;
    if (!read_options(call, 4, g, &o) || !find_interval(call, 1, &o, &r, &z, &v)) return;
    reply_interval(call, &z, v, &o);
}

static const struct range_grammar all_open = {true, true, true}, all_said = {false, false, true};

static void zrange_command(struct call *call)
{
    range(call, &all_open, (struct range_options){.limit = NO_LIMIT, .kind = RANGE_BY_RANK});
}

static void zrevrange_command(struct call *call)
{
    range(call, &all_said, (struct range_options){.limit = NO_LIMIT, .kind = RANGE_BY_RANK, .reverse = true});
}

static void zrangebyscore_command(struct call *call)
{
    range(call, &all_said, (struct range_options){.limit = NO_LIMIT, .kind = RANGE_BY_SCORE});
}

static void zrevrangebyscore_command(struct call *call)
{
    range(call, &all_said, (struct range_options){.limit = NO_LIMIT, .kind = RANGE_BY_SCORE, .reverse = true});
}

static void zrangebylex_command(struct call *call)
{
    range(call, &all_said, (struct range_options){.limit = NO_LIMIT, .kind = RANGE_BY_LEX});
}

static void zrevrangebylex_command(struct call *call)
{
    range(call, &all_said, (struct range_options){.limit = NO_LIMIT, .kind = RANGE_BY_LEX, .reverse = true});
}

static void zrangestore_command(struct call *call)
{
    static const struct range_grammar grammar = {true, true, false};
    struct range_options o = {.limit = NO_LIMIT, .kind = RANGE_BY_RANK};
    struct record *r;
    struct zset z;
    struct zset_interval v;
    if (!read_options(call, 5, &grammar, &o) || !find_interval(call, 2, &o, &r, &z, &v)) return;
    reply_integer(call->reply, (int64_t)v.count);
    if (!v.count) return zset_key_replace(call, 1, NULL, "zrangestore");
    struct zset_builder b;
    struct zset_walk w;
    struct zset_entry e;
    zset_builder_init(&b, v.count);
    zset_walk_start(&w, &z, v.first, false);
    for (size_t i = 0; i < v.count && zset_walk_next(&w, &e); i++) zset_builder_add(&b, &e.member, e.score);
    struct zset result = zset_builder_finish(&b);
    zset_key_replace(call, 1, &result, "zrangestore");
}

/* --- ZCOUNT, ZLEXCOUNT --- */

static void count_range(struct call *call, enum zset_range_kind kind)
{
    struct zset_range range = {0};
    struct record *r;
    struct zset z;
    if (!zset_range_read(call, kind, 2, 3, &range) || !zset_key_find(call, 1, &r, &z)) return;
    reply_integer(call->reply, r ? (int64_t)zset_range_resolve(&range, &z, false).count : 0);
}

static void zcount_command(struct call *call)
{
    count_range(call, RANGE_BY_SCORE);
}

static void zlexcount_command(struct call *call)
{
    count_range(call, RANGE_BY_LEX);
}

/* --- ZREMRANGEBY... --- */

static void remove_range(struct call *call, enum zset_range_kind kind, const char *event)
{
    struct zset_range range = {0};
    struct zset_key k;
    if (!zset_range_read(call, kind, 2, 3, &range) || !zset_key_open(&k, call, 1)) return;
    struct zset_interval v = {0};
    if (k.record) v = zset_range_resolve(&range, &k.zset, false);
    if (v.count) {
        zset_remove_ranks(&k.zset, v.first, v.count);
        zset_key_save(&k, event);
        call_changed(call, v.count);
    }
    reply_integer(call->reply, (int64_t)v.count);
}

static void zremrangebyrank_command(struct call *call)
{
    remove_range(call, RANGE_BY_RANK, "zremrangebyrank");
}

static void zremrangebyscore_command(struct call *call)
{
    remove_range(call, RANGE_BY_SCORE, "zremrangebyscore");
}

static void zremrangebylex_command(struct call *call)
{
    remove_range(call, RANGE_BY_LEX, "zremrangebylex");
}

#define READS   CMD_READONLY, CAT_SORTEDSET, KEY_AT_1(KEY_RO | KEY_ACCESS)
#define REMOVES CMD_WRITE, CAT_SORTEDSET, KEY_AT_1(KEY_RW | KEY_DELETE)

const struct command zset_range_commands[] = {
    {"zrange", zrange_command, -4, READS},
    {"zrevrange", zrevrange_command, -4, READS},
    {"zrangebyscore", zrangebyscore_command, -4, READS},
    {"zrevrangebyscore", zrevrangebyscore_command, -4, READS},
    {"zrangebylex", zrangebylex_command, -4, READS},
    {"zrevrangebylex", zrevrangebylex_command, -4, READS},
    {"zrangestore", zrangestore_command, -5, CMD_WRITE | CMD_DENYOOM, CAT_SORTEDSET,
     KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_AT(2, KEY_RO | KEY_ACCESS))},
    {"zcount", zcount_command, 4, CMD_READONLY | CMD_FAST, CAT_SORTEDSET, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"zlexcount", zlexcount_command, 4, CMD_READONLY | CMD_FAST, CAT_SORTEDSET, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"zremrangebyrank", zremrangebyrank_command, 4, REMOVES},
    {"zremrangebyscore", zremrangebyscore_command, 4, REMOVES},
    {"zremrangebylex", zremrangebylex_command, 4, REMOVES},
    {.name = NULL},
};
