/* Sorted sets, member by member: ZADD and its family, scores and ranks, random members, ZSCAN. Ranges are in
 * zset_range.c, pops in zset_pop.c, what combines several in zset_algebra.c. Server process. */
#include "server/base/alloc.h"
#include "server/commands/collection_scan.h"
#include "server/commands/packed_reply.h"
#include "server/commands/tables.h"
#include "server/commands/zset_key.h"
#include "server/core/core.h"

#include <math.h>

/* --- ZADD --- */

#define SCORES_INLINE 16
#define WHOLE_MAX     9007199254740992 /* up to here every integer is one double */

struct zadd_options {
    bool if_absent, if_present, if_greater, if_less, count_changed, increment;
};

/* What became of one pair. */
enum outcome { SKIPPED, SAME, UPDATED, ADDED, NOT_A_NUMBER };

static bool read_score(struct call *call, uint32_t arg, double *score)
{
    int64_t whole;
    if (parse_i64(call->argv[arg], &whole) == 0 && whole <= WHOLE_MAX && whole >= -WHOLE_MAX) {
        *score = (double)whole;
        return true;
    }
    return call_arg_double(call, arg, score, NULL);
}

/* Returns where the pairs begin; 0: answered. */
static uint32_t read_zadd_options(struct call *call, struct zadd_options *o)
{
    uint32_t i = 2;
    for (; i < call->argc; i++) {
        if (call_arg_is(call, i, "nx"))
            o->if_absent = true;
        else if (call_arg_is(call, i, "xx"))
            o->if_present = true;
        else if (call_arg_is(call, i, "gt"))
            o->if_greater = true;
        else if (call_arg_is(call, i, "lt"))
            o->if_less = true;
        else if (call_arg_is(call, i, "ch"))
            o->count_changed = true;
        else if (call_arg_is(call, i, "incr"))
            o->increment = true;
        else
            break;
    }
    const char *error = NULL;
    if (i == call->argc || (call->argc - i) % 2)
        error = "ERR syntax error";
    else if (o->if_absent && o->if_present)
        error = "ERR XX and NX options at the same time are not compatible";
    else if (o->if_absent + o->if_greater + o->if_less > 1)
        error = "ERR GT, LT, and/or NX options at the same time are not compatible";
    else if (o->increment && call->argc - i > 2)
        error = "ERR INCR option supports a single increment-element pair";
    if (error) reply_error(call->reply, error);
    return error ? 0 : i;
}

static enum outcome put(struct zset *z, struct bytes member, double *score, const struct zadd_options *o)
{
    struct zset_place place;
    double own;
    if (!zset_find(z, member, &place, &own)) {
        if (o->if_present) return SKIPPED;
        zset_add(z, member, &place, *score);
        return ADDED;
    }
    if (o->if_absent) return SKIPPED;
    if (o->increment) *score += own;
    if (isnan(*score)) return NOT_A_NUMBER;
    if ((o->if_greater && *score <= own) || (o->if_less && *score >= own)) return SKIPPED;
    if (*score == own) return SAME;
    zset_move(z, member, &place, own, *score);
    return UPDATED;
}

static void reply_sum(struct call *call, enum outcome outcome, double score)
{
    if (outcome == NOT_A_NUMBER)
        reply_error(call->reply, "ERR resulting score is not a number (NaN)");
    else if (outcome == SKIPPED)
        reply_null(call->reply);
    else
        reply_double(call->reply, score);
}

static void add_pairs(struct call *call, uint32_t first, const struct zadd_options *o, double *scores)
{
    struct zset_key k;
    uint64_t added = 0, updated = 0;
    enum outcome outcome = SKIPPED;
    if (!zset_key_open(&k, call, 1)) return;
    uint32_t pairs = !k.record && o->if_present ? 0 : (call->argc - first) / 2;
    if (!k.record && pairs) k.zset = zset_new(call->argv[first + 1].len);
    for (uint32_t i = 0; i < pairs; i++) {
        outcome = put(&k.zset, call->argv[first + 2 * i + 1], &scores[i], o);
        added += outcome == ADDED;
        updated += outcome == UPDATED;
    }
    if (added + updated) {
        zset_key_save(&k, o->increment ? "zincr" : "zadd");
        call_changed(call, added + updated);
    }
    if (o->increment)
        reply_sum(call, outcome, scores[0]);
    else
        reply_integer(call->reply, (int64_t)(o->count_changed ? added + updated : added));
}

/* No score may turn out bad once the first pair has been added: all are read ahead. */
static void zadd(struct call *call, uint32_t first, const struct zadd_options *o)
{
    double room[SCORES_INLINE], *scores = room;
    uint32_t pairs = (call->argc - first) / 2, read = 0;
    if (pairs > SCORES_INLINE) scores = mem_alloc(pairs * sizeof *scores);
    while (read < pairs && read_score(call, first + 2 * read, &scores[read])) read++;
    if (read == pairs) add_pairs(call, first, o, scores);
    if (scores != room) mem_free(scores);
}

void zadd_command(struct call *call)
{
    struct zadd_options o = {0};
    uint32_t first = read_zadd_options(call, &o);
    if (first) zadd(call, first, &o);
}

static void zincrby_command(struct call *call)
{
    struct zadd_options o = {.increment = true};
    zadd(call, 2, &o);
}

static void zrem_command(struct call *call)
{
    struct zset_key k;
    int64_t removed = 0;
    if (!zset_key_open(&k, call, 1)) return;
    for (uint32_t i = 2; k.record && i < call->argc && zset_count(&k.zset) > 0; i++) {
        struct zset_place place;
        double score;
        if (!zset_find(&k.zset, call->argv[i], &place, &score)) continue;
        zset_remove(&k.zset, &place, score);
        removed++;
    }
    if (removed) {
        zset_key_save(&k, "zrem");
        call_changed(call, (uint64_t)removed);
    }
    reply_integer(call->reply, removed);
}

/* --- looking --- */

static void zcard_command(struct call *call)
{
    struct record *r;
    struct zset z;
    if (zset_key_find(call, 1, &r, &z)) reply_integer(call->reply, r ? (int64_t)zset_count(&z) : 0);
}

static void reply_score(struct call *call, const struct record *r, const struct zset *z, struct bytes member)
{
    struct zset_place place;
    double score;
    if (r && zset_find(z, member, &place, &score))
        reply_double(call->reply, score);
    else
        reply_null(call->reply);
}

static void zscore_command(struct call *call)
{
    struct record *r;
    struct zset z;
    if (zset_key_find(call, 1, &r, &z)) reply_score(call, r, &z, call->argv[2]);
}

static void zmscore_command(struct call *call)
{
    struct record *r;
    struct zset z;
    if (!zset_key_find(call, 1, &r, &z)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) reply_score(call, r, &z, call->argv[i]);
}

static void rank(struct call *call, bool from_the_end)
{
    struct record *r;
    struct zset z;
    size_t rank;
    double score;
    bool with_score = call->argc > 3;
    if (call->argc > 4) {
        reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command",
                     from_the_end ? "zrevrank" : "zrank");
        return;
    }
    if (with_score && !call_arg_is(call, 3, "withscore")) return call_syntax_error(call);
    if (!zset_key_find(call, 1, &r, &z)) return;
    if (!r || !zset_rank(&z, call->argv[2], &rank, &score)) {
        if (with_score)
            reply_null_array(call->reply);
        else
            reply_null(call->reply);
        return;
    }
    if (with_score) reply_array(call->reply, 2);
    reply_integer(call->reply, (int64_t)(from_the_end ? zset_count(&z) - 1 - rank : rank));
    if (with_score) reply_double(call->reply, score);
}

static void zrank_command(struct call *call)
{
    rank(call, false);
}

static void zrevrank_command(struct call *call)
{
    rank(call, true);
}

/* --- ZRANDMEMBER, ZSCAN --- */

struct random_reply {
    struct reply *reply;
    bool with_scores;
};

static void reply_random(void *arg, const struct zset_entry *entry)
{
    const struct random_reply *rr = arg;
    reply_zset_entry(rr->reply, entry, rr->with_scores);
}

static void random_members(struct call *call, int64_t count, bool with_scores)
{
    struct record *r;
    struct zset z;
    if (!zset_key_find(call, 1, &r, &z)) return;
    struct random_reply rr = {call->reply, with_scores};
    struct random_state *random = keyspace_random(call->core->keyspace);
    uint64_t wanted = !r ? 0 : count < 0 ? -(uint64_t)count : (uint64_t)count;
    if (count > 0 && r && wanted > zset_count(&z)) wanted = zset_count(&z);
    reply_zset_entries(call->reply, wanted, with_scores);
    if (count > 0 && wanted) zset_sample(&z, wanted, random, reply_random, &rr);
    for (; count < 0 && wanted > 0 && !reply_unheard(call->reply); wanted--) {
        struct zset_entry entry;
        zset_random(&z, random, &entry);
        reply_random(&rr, &entry);
    }
}

static void zrandmember_command(struct call *call)
{
    if (call->argc == 2) {
        struct record *r;
        struct zset z;
        struct zset_entry entry;
        if (!zset_key_find(call, 1, &r, &z)) return;
        if (!r) return reply_null(call->reply);
        zset_random(&z, keyspace_random(call->core->keyspace), &entry);
        return reply_packed(call->reply, &entry.member);
    }
    int64_t count;
    if (!call_arg_range(call, 2, -INT64_MAX, INT64_MAX, &count, NULL)) return;
    if (call->argc > 4 || (call->argc == 4 && !call_arg_is(call, 3, "withscores"))) return call_syntax_error(call);
    bool with_scores = call->argc == 4;
    if (with_scores && (count < -INT64_MAX / 2 || count > INT64_MAX / 2))
        return reply_error(call->reply, "ERR value is out of range");
    random_members(call, count, with_scores);
}

/* Scores are bulk strings here, whatever the protocol. */
static void visit_scanned(void *arg, const struct zset_entry *entry)
{
    struct collection_scan *s = arg;
    char text[DOUBLE_TEXT_MAX];
    if (!collection_scan_matches(s, &entry->member)) return;
    reply_packed(s->call->reply, &entry->member);
    reply_bulk(s->call->reply, bytes_make(text, format_double(text, entry->score)));
    s->elements += 2;
}

static void zscan_command(struct call *call)
{
    struct collection_scan s;
    const struct record *r = collection_scan_begin(&s, call, TYPE_ZSET);
    if (!r) return;
    struct zset z = zset_at(r);
    collection_scan_end(&s, zset_scan(&z, s.cursor, s.count, visit_scanned, &s));
}

const struct command sorted_sets_commands[] = {
    {"zadd", zadd_command, -4, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_SORTEDSET, KEY_AT_1(KEY_RW | KEY_UPDATE),
     .element = 3},
    {"zincrby", zincrby_command, 4, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_SORTEDSET,
     KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE), .element = 3},
    {"zrem", zrem_command, -3, CMD_WRITE | CMD_FAST, CAT_SORTEDSET, KEY_AT_1(KEY_RW | KEY_DELETE), .element = 2},
    {"zcard", zcard_command, 2, CMD_READONLY | CMD_FAST, CAT_SORTEDSET, KEY_AT_1(KEY_RO)},
    {"zscore", zscore_command, 3, CMD_READONLY | CMD_FAST, CAT_SORTEDSET, KEY_AT_1(KEY_RO | KEY_ACCESS), .element = 2},
    {"zmscore", zmscore_command, -3, CMD_READONLY | CMD_FAST, CAT_SORTEDSET, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .element = 2},
    {"zrank", zrank_command, -3, CMD_READONLY | CMD_FAST, CAT_SORTEDSET, KEY_AT_1(KEY_RO | KEY_ACCESS), .element = 2},
    {"zrevrank", zrevrank_command, -3, CMD_READONLY | CMD_FAST, CAT_SORTEDSET, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .element = 2},
    {"zrandmember", zrandmember_command, -2, CMD_READONLY, CAT_SORTEDSET, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"zscan", zscan_command, -3, CMD_READONLY, CAT_SORTEDSET, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {.name = NULL},
};
