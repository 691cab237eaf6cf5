/* Sets combined: intersection, union, difference, to the client or to a key. Server process.
 *
 * Intersections and differences are walks over one set that ask the others, so they stream; only a union needs a set of
 * its own first. */
#include "server/base/alloc.h"
#include "server/commands/packed_reply.h"
#include "server/commands/set_key.h"
#include "server/commands/tables.h"

#include <stdlib.h>

#define OPERANDS_INLINE 8

/* The sets that exist, in the order of their keys. */
struct operands {
    uint32_t count, missing;
    bool first_missing;
    struct set *sets;
    struct set room[OPERANDS_INLINE];
};

static void operands_free(struct operands *o)
{
    if (o->sets != o->room) mem_free(o->sets);
}

/* False: one of the keys holds another type, answered. */
static bool operands_read(struct operands *o, struct call *call, uint32_t first, uint32_t count)
{
    o->count = o->missing = 0;
    o->sets = count <= OPERANDS_INLINE ? o->room : mem_alloc(count * sizeof *o->sets);
    for (uint32_t i = 0; i < count; i++) {
        const struct record *r = call_find_read(call, first + i);
        if (call_wrong_type(call, r, TYPE_SET)) {
            operands_free(o);
            return false;
        }
        if (i == 0) o->first_missing = !r;
        if (r)
            o->sets[o->count++] = set_at(r);
        else
            o->missing++;
    }
    return true;
}

static int smaller_first(const void *a, const void *b)
{
    size_t left = set_count(a), right = set_count(b);
    return left < right ? -1 : left > right;
}

static int larger_first(const void *a, const void *b)
{
    return smaller_first(b, a);
}

/* --- walks over the first set --- */

/* Members of the first set that all the others have, or none of them. */
struct selection {
    const struct operands *operands;
    bool absent_in_others;
    struct set_walk walk;
    struct set_batch batch;
};

static void selection_start(struct selection *s, const struct operands *o, bool absent_in_others)
{
    s->operands = o;
    s->absent_in_others = absent_in_others;
    set_walk_start(&s->walk, &o->sets[0]);
}

/* The next ones are in s->batch. */
static bool selection_next(struct selection *s)
{
    while (set_batch_fill(&s->batch, &s->walk)) {
        for (uint32_t i = 1; i < s->operands->count && s->batch.count > 0; i++)
            set_batch_filter(&s->batch, &s->operands->sets[i], s->absent_in_others);
        if (s->batch.count > 0) return true;
    }
    return false;
}

static void reply_selection(struct call *call, struct selection *s)
{
    struct reply_deferred d;
    size_t count = 0;
    reply_deferred_begin(call->reply, &d);
    for (; selection_next(s); count += s->batch.count)
        for (size_t i = 0; i < s->batch.count; i++) reply_packed(call->reply, &s->batch.members[i]);
    reply_deferred_set(call->reply, &d, count);
}

/* What is selected, as a set. False: nothing. */
static bool collect_selection(struct selection *s, struct set *result)
{
    bool any = false;
    for (; selection_next(s); any = true) {
        if (!any) *result = set_new(&s->batch.members[0], 1);
        for (size_t i = 0; i < s->batch.count; i++) set_add_new(result, &s->batch.members[i]);
    }
    return any;
}

/* Stores the selection under argv[1] or answers with it. */
static void stream(struct call *call, const struct operands *o, bool absent_in_others, const char *store_event)
{
    struct selection s;
    struct set result;
    selection_start(&s, o, absent_in_others);
    if (!store_event) return reply_selection(call, &s);
    bool any = collect_selection(&s, &result);
    reply_integer(call->reply, any ? (int64_t)set_count(&result) : 0);
    set_key_replace(call, 1, any ? &result : NULL, store_event);
}

static void nothing(struct call *call, const char *store_event)
{
    if (!store_event) return reply_set(call->reply, 0);
    set_key_replace(call, 1, NULL, store_event);
    reply_integer(call->reply, 0);
}

/* --- intersection --- */

static void intersect(struct call *call, uint32_t first, const char *store_event)
{
    struct operands o;
    if (!operands_read(&o, call, first, call->argc - first)) return;
    if (o.missing) {
        nothing(call, store_event);
    } else {
        qsort(o.sets, o.count, sizeof *o.sets, smaller_first);
        stream(call, &o, false, store_event);
    }
    operands_free(&o);
}

static void sinter_command(struct call *call)
{
    intersect(call, 1, NULL);
}

static void sinterstore_command(struct call *call)
{
    intersect(call, 2, "sinterstore");
}

/* numkeys key... [LIMIT limit]; the number of keys, 0: answered. */
static uint32_t read_card_arguments(struct call *call, uint64_t *limit)
{
    int64_t keys, most;
    if (!call_arg_range(call, 1, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0")) return 0;
    if (keys > (int64_t)call->argc - 2) {
        reply_error(call->reply, "ERR Number of keys can't be greater than number of args");
        return 0;
    }
    *limit = 0;
    for (uint32_t i = 2 + (uint32_t)keys; i < call->argc; i += 2) {
        if (!call_arg_is(call, i, "limit") || i + 1 == call->argc) return call_syntax_error(call), 0;
        if (!call_arg_range(call, i + 1, 0, INT64_MAX, &most, "ERR LIMIT can't be negative")) return 0;
        *limit = (uint64_t)most;
    }
    return (uint32_t)keys;
}

static void sintercard_command(struct call *call)
{
    struct operands o;
    struct selection s;
    uint64_t limit, count = 0;
    uint32_t keys = read_card_arguments(call, &limit);
    if (!keys || !operands_read(&o, call, 2, keys)) return;
    if (!o.missing) {
        qsort(o.sets, o.count, sizeof *o.sets, smaller_first);
        selection_start(&s, &o, false);
        while ((!limit || count < limit) && selection_next(&s)) count += s.batch.count;
    }
    operands_free(&o);
    reply_integer(call->reply, (int64_t)(limit && count > limit ? limit : count));
}

/* --- union --- */

/* All the members of these sets, of which there is one at least. */
static struct set unite_sets(const struct set *sets, uint32_t count)
{
    struct set result = {0};
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        struct set_walk w;
        struct packed_value member;
        for (set_walk_start(&w, &sets[i]); set_walk_next(&w, &member); any = true) {
            if (!any) result = set_new(&member, 1);
            set_add(&result, &member);
        }
    }
    return result;
}

static void reply_members(struct call *call, const struct set *s)
{
    struct set_walk w;
    struct packed_value member;
    reply_set(call->reply, set_count(s));
    set_walk_start(&w, s);
    while (!reply_unheard(call->reply) && set_walk_next(&w, &member)) reply_packed(call->reply, &member);
}

static void unite(struct call *call, uint32_t first, const char *store_event)
{
    struct operands o;
    if (!operands_read(&o, call, first, call->argc - first)) return;
    if (o.count == 0) {
        nothing(call, store_event);
    } else if (o.count == 1 && !store_event) {
        reply_members(call, &o.sets[0]);
    } else {
        struct set result = unite_sets(o.sets, o.count);
        if (store_event) {
            reply_integer(call->reply, (int64_t)set_count(&result));
            set_key_replace(call, 1, &result, store_event);
        } else {
            reply_members(call, &result);
            set_free(&result);
        }
    }
    operands_free(&o);
}

static void sunion_command(struct call *call)
{
    unite(call, 1, NULL);
}

static void sunionstore_command(struct call *call)
{
    unite(call, 2, "sunionstore");
}

/* --- difference --- */

/* Asking every other set about each member of the first costs their product; putting the others together first costs
 * their sum, and more for each member. */
static bool better_united(const struct operands *o)
{
    size_t asking = set_count(&o->sets[0]) * (o->count - 1), uniting = 0;
    for (uint32_t i = 0; i < o->count; i++) uniting += set_count(&o->sets[i]);
    return o->count > 2 && asking / 2 > uniting;
}

static void subtract(struct call *call, uint32_t first, const char *store_event)
{
    struct operands o;
    if (!operands_read(&o, call, first, call->argc - first)) return;
    if (o.first_missing) {
        nothing(call, store_event);
    } else if (better_united(&o)) {
        o.sets[1] = unite_sets(o.sets + 1, o.count - 1);
        o.count = 2;
        stream(call, &o, true, store_event);
        set_free(&o.sets[1]);
    } else {
        qsort(o.sets + 1, o.count - 1, sizeof *o.sets, larger_first); /* the likeliest to know a member first */
        stream(call, &o, true, store_event);
    }
    operands_free(&o);
}

static void sdiff_command(struct call *call)
{
    subtract(call, 1, NULL);
}

static void sdiffstore_command(struct call *call)
{
    subtract(call, 2, "sdiffstore");
}

#define SOURCES                         KEYS(KEY_RANGE(1, -1, 1, KEY_RO | KEY_ACCESS))
#define DESTINATION_AND_SOURCES(flags_) KEYS(KEY_AT(1, flags_), KEY_RANGE(2, -1, 1, KEY_RO | KEY_ACCESS))

const struct command set_algebra_commands[] = {
    {"sinter", sinter_command, -2, CMD_READONLY, CAT_SET, SOURCES, .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {"sintercard", sintercard_command, -3, CMD_READONLY | CMD_MOVABLE_KEYS, CAT_SET,
     KEYS(KEYS_COUNTED_AT(1, KEY_RO | KEY_ACCESS))},
    {"sinterstore", sinterstore_command, -3, CMD_WRITE | CMD_DENYOOM, CAT_SET,
     DESTINATION_AND_SOURCES(KEY_RW | KEY_UPDATE)},
    {"sunion", sunion_command, -2, CMD_READONLY, CAT_SET, SOURCES, .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {"sunionstore", sunionstore_command, -3, CMD_WRITE | CMD_DENYOOM, CAT_SET,
     DESTINATION_AND_SOURCES(KEY_OW | KEY_UPDATE)},
    {"sdiff", sdiff_command, -2, CMD_READONLY, CAT_SET, SOURCES, .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {"sdiffstore", sdiffstore_command, -3, CMD_WRITE | CMD_DENYOOM, CAT_SET,
     DESTINATION_AND_SOURCES(KEY_OW | KEY_UPDATE)},
    {.name = NULL},
};
