/* Lists: pushes and pops, looking, and changing in the middle. Those that wait are in lists_blocking.c. Server
 * process. */
#include "server/base/check.h"
#include "server/commands/list_key.h"
#include "server/commands/packed_reply.h"
#include "server/commands/tables.h"
#include "server/core/command/command_table.h"

/* The list at argv[1], to be read. false: answered with an error; an absent key gives an empty `out` without object. */
static bool read_list(struct call *call, struct list_value *out)
{
    struct record *r = call_find_read(call, 1);
    *out = (struct list_value){0};
    if (call_wrong_type(call, r, TYPE_LIST)) return false;
    if (r) *out = list_at(r);
    return true;
}

/* --- push, pop --- */

static void push(struct call *call, enum list_end end, bool only_existing)
{
    struct list_key k;
    if (!list_key_open(&k, call, 1)) return;
    if (!list_key_found(&k)) {
        if (only_existing) return reply_integer(call->reply, 0);
        list_key_create(&k);
    }
    uint32_t count = call->argc - 2;
    list_prepare_growth(&k.list, call->argv + 2, count);
    for (uint32_t i = 2; i < call->argc; i++) list_push(&k.list, end, call->argv[i]);
    reply_integer(call->reply, (int64_t)list_length(&k.list));
    list_key_save(&k, end == LIST_HEAD ? "lpush" : "rpush");
    call_changed(call, count);
}

static void lpush_command(struct call *call)
{
    push(call, LIST_HEAD, false);
}

static void rpush_command(struct call *call)
{
    push(call, LIST_TAIL, false);
}

static void lpushx_command(struct call *call)
{
    push(call, LIST_HEAD, true);
}

static void rpushx_command(struct call *call)
{
    push(call, LIST_TAIL, true);
}

static void pop(struct call *call, enum list_end end)
{
    bool counted = call->argc == 3;
    int64_t count = 1;
    struct list_key k;
    if (call->argc > 3)
        return reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command", call->command->full_name);
    if (counted && !call_arg_range(call, 2, 0, INT64_MAX, &count, "ERR value is out of range, must be positive"))
        return;
    if (!list_key_open(&k, call, 1)) return;
    if (!list_key_found(&k)) return counted ? reply_null_array(call->reply) : reply_null(call->reply);
    if (counted)
        list_key_pop_many(&k, end, (size_t)count);
    else
        list_key_pop_one(&k, end);
}

static void lpop_command(struct call *call)
{
    pop(call, LIST_HEAD);
}

static void rpop_command(struct call *call)
{
    pop(call, LIST_TAIL);
}

static void lmpop_command(struct call *call)
{
    struct list_multi_pop p;
    if (list_multi_pop_read(call, 1, &p) && !list_multi_pop_run(call, &p)) reply_null_array(call->reply);
}

static void move(struct call *call, enum list_end take, enum list_end give)
{
    struct list_key from;
    if (!list_key_open(&from, call, 1)) return;
    if (list_key_found(&from))
        list_key_move(&from, take, give);
    else
        reply_null(call->reply);
}

static void lmove_command(struct call *call)
{
    enum list_end take, give;
    if (list_end_argument(call, 3, &take) && list_end_argument(call, 4, &give))
        move(call, take, give);
    else
        call_syntax_error(call);
}

static void rpoplpush_command(struct call *call)
{
    move(call, LIST_TAIL, LIST_HEAD);
}

/* --- looking --- */

static void llen_command(struct call *call)
{
    struct list_value l;
    if (read_list(call, &l)) reply_integer(call->reply, l.object ? (int64_t)list_length(&l) : 0);
}

static void lindex_command(struct call *call)
{
    struct list_value l;
    struct list_cursor c;
    int64_t index;
    if (!read_list(call, &l)) return;
    if (!l.object) return reply_null(call->reply);
    if (!call_arg_i64(call, 2, &index, NULL)) return;
    if (list_seek(&l, index, &c)) {
        struct packed_value v = list_cursor_value(&c);
        reply_packed(call->reply, &v);
    } else {
        reply_null(call->reply);
    }
    list_cursor_close(&c);
}

/* Brings both into 0 .. length - 1; false: they enclose nothing. */
static bool clamp_range(int64_t *start, int64_t *end, int64_t length)
{
    if (*start < 0) *start = *start + length < 0 ? 0 : *start + length;
    if (*end < 0) *end += length;
    if (*end >= length) *end = length - 1;
    return *start <= *end && *start < length;
}

static void reply_element(void *reply, struct packed_value value)
{
    reply_packed(reply, &value);
}

static void lrange_command(struct call *call)
{
    struct list_value l;
    int64_t start, end;
    if (!call_arg_i64(call, 2, &start, NULL) || !call_arg_i64(call, 3, &end, NULL) || !read_list(call, &l)) return;
    if (!l.object || !clamp_range(&start, &end, (int64_t)list_length(&l))) return reply_array(call->reply, 0);
    size_t count = (size_t)(end - start + 1);
    reply_array(call->reply, count);
    list_walk(&l, (size_t)start, count, reply_element, call->reply);
}

struct position_search {
    int64_t rank, count, max_compared; /* count -1: one position, not an array; max_compared 0: all */
};

static bool read_position_options(struct call *call, struct position_search *s)
{
    *s = (struct position_search){.rank = 1, .count = -1};
    for (uint32_t i = 3; i < call->argc; i += 2) {
        if (i + 1 == call->argc) return call_syntax_error(call), false;
        if (call_arg_is(call, i, "rank")) {
            if (!call_arg_range(call, i + 1, -INT64_MAX, INT64_MAX, &s->rank, NULL)) return false;
            if (s->rank) continue;
            reply_error(call->reply, "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second "
                                     "... or use negative to start from the end of the list");
            return false;
        }
        if (call_arg_is(call, i, "count")) {
            if (!call_arg_range(call, i + 1, 0, INT64_MAX, &s->count, "ERR COUNT can't be negative")) return false;
        } else if (call_arg_is(call, i, "maxlen")) {
            if (!call_arg_range(call, i + 1, 0, INT64_MAX, &s->max_compared, "ERR MAXLEN can't be negative"))
                return false;
        } else {
            return call_syntax_error(call), false;
        }
    }
    return true;
}

/* Writes the positions that match, at most `most` (0: all); returns how many. */
static size_t reply_positions(struct call *call, struct list_value *l, const struct position_search *s, size_t most)
{
    bool backwards = s->rank < 0;
    int64_t to_skip = (backwards ? -s->rank : s->rank) - 1, compared = 0, length = (int64_t)list_length(l);
    struct packed_value wanted = packed_from(call->argv[2]);
    struct list_cursor c;
    size_t found = 0;
    for (bool on = list_seek(l, backwards ? -1 : 0, &c); on && !(s->max_compared && compared == s->max_compared);
         on = backwards ? list_cursor_prev(&c) : list_cursor_next(&c)) {
        struct packed_value v = list_cursor_value(&c);
        int64_t step = compared++;
        if (!packed_equal(&v, &wanted) || to_skip-- > 0) continue;
        reply_integer(call->reply, backwards ? length - 1 - step : step);
        if (++found == most) break;
    }
    list_cursor_close(&c);
    return found;
}

static void lpos_command(struct call *call)
{
    struct position_search s;
    struct list_value l;
    if (!read_position_options(call, &s) || !read_list(call, &l)) return;
    bool single = s.count < 0;
    if (!l.object) return single ? reply_null(call->reply) : reply_array(call->reply, 0);
    if (single) {
        if (!reply_positions(call, &l, &s, 1)) reply_null(call->reply);
        return;
    }
    struct reply_deferred d;
    reply_deferred_begin(call->reply, &d);
    reply_deferred_array(call->reply, &d, reply_positions(call, &l, &s, (size_t)s.count));
}

/* --- changing in the middle --- */

static void lset_command(struct call *call)
{
    struct list_key k;
    struct list_cursor c;
    int64_t index;
    if (!list_key_open(&k, call, 1)) return;
    if (!list_key_found(&k)) return reply_error(call->reply, "ERR no such key");
    if (!call_arg_i64(call, 2, &index, NULL)) return;
    list_prepare_growth(&k.list, call->argv + 3, 1);
    bool found = list_seek(&k.list, index, &c);
    if (found) list_cursor_replace(&c, call->argv[3]);
    list_cursor_close(&c);
    list_settle_shrunk(&k.list);
    if (!found) {
        list_key_keep(&k);
        return reply_error(call->reply, "ERR index out of range");
    }
    reply_ok(call->reply);
    list_key_save(&k, "lset");
    call_changed(call, 1);
}

static void linsert_command(struct call *call)
{
    struct list_key k;
    struct list_cursor c;
    bool before = call_arg_is(call, 2, "before");
    if (!before && !call_arg_is(call, 2, "after")) return call_syntax_error(call);
    if (!list_key_open(&k, call, 1)) return;
    if (!list_key_found(&k)) return reply_integer(call->reply, 0);
    struct packed_value pivot = packed_from(call->argv[3]);
    list_prepare_growth(&k.list, call->argv + 4, 1);
    bool on = list_seek(&k.list, 0, &c);
    for (; on; on = list_cursor_next(&c)) {
        struct packed_value v = list_cursor_value(&c);
        if (packed_equal(&v, &pivot)) break;
    }
    if (on) list_cursor_insert(&c, before, call->argv[4]);
    list_cursor_close(&c);
    if (!on) {
        list_key_keep(&k);
        return reply_integer(call->reply, -1);
    }
    reply_integer(call->reply, (int64_t)list_length(&k.list));
    list_key_save(&k, "linsert");
    call_changed(call, 1);
}

static void lrem_command(struct call *call)
{
    struct list_key k;
    struct list_cursor c;
    int64_t count, removed = 0;
    if (!call_arg_i64(call, 2, &count, NULL) || !list_key_open(&k, call, 1)) return;
    if (!list_key_found(&k)) return reply_integer(call->reply, 0);
    struct packed_value wanted = packed_from(call->argv[3]);
    bool backwards = count < 0;
    uint64_t most = backwards ? -(uint64_t)count : (uint64_t)count;
    bool on = list_seek(&k.list, backwards ? -1 : 0, &c);
    while (on && !(most && (uint64_t)removed == most)) {
        struct packed_value v = list_cursor_value(&c);
        if (packed_equal(&v, &wanted)) {
            on = list_cursor_delete(&c, backwards);
            removed++;
        } else {
            on = backwards ? list_cursor_prev(&c) : list_cursor_next(&c);
        }
    }
    list_cursor_close(&c);
    if (removed) {
        list_settle_shrunk(&k.list);
        list_key_save(&k, "lrem");
        call_changed(call, (uint64_t)removed);
    }
    reply_integer(call->reply, removed);
}

static void ltrim_command(struct call *call)
{
    struct list_key k;
    int64_t start, end;
    if (!call_arg_i64(call, 2, &start, NULL) || !call_arg_i64(call, 3, &end, NULL)) return;
    if (!list_key_open(&k, call, 1)) return;
    if (!list_key_found(&k)) return reply_ok(call->reply);
    int64_t length = (int64_t)list_length(&k.list);
    if (!clamp_range(&start, &end, length)) {
        start = length;
        end = length - 1;
    }
    int64_t behind = length - 1 - end;
    list_drop(&k.list, LIST_HEAD, (size_t)start);
    list_drop(&k.list, LIST_TAIL, (size_t)behind);
    list_settle_shrunk(&k.list);
    list_key_save(&k, "ltrim");
    call_changed(call, (uint64_t)(start + behind));
    reply_ok(call->reply);
}

/* --- the table --- */

#define MOVE_KEYS KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT))

const struct command lists_commands[] = {
    {"lpush", lpush_command, -3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_LIST, KEY_AT_1(KEY_RW | KEY_INSERT),
     .element = 2},
    {"rpush", rpush_command, -3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_LIST, KEY_AT_1(KEY_RW | KEY_INSERT),
     .element = 2},
    {"lpushx", lpushx_command, -3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_LIST, KEY_AT_1(KEY_RW | KEY_INSERT),
     .element = 2},
    {"rpushx", rpushx_command, -3, CMD_WRITE | CMD_DENYOOM | CMD_FAST, CAT_LIST, KEY_AT_1(KEY_RW | KEY_INSERT),
     .element = 2},
    {"lpop", lpop_command, -2, CMD_WRITE | CMD_FAST, CAT_LIST, KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_DELETE)},
    {"rpop", rpop_command, -2, CMD_WRITE | CMD_FAST, CAT_LIST, KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_DELETE)},
    {"lmpop", lmpop_command, -4, CMD_WRITE | CMD_MOVABLE_KEYS, CAT_LIST,
     KEYS(KEYS_COUNTED_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE))},
    {"llen", llen_command, 2, CMD_READONLY | CMD_FAST, CAT_LIST, KEY_AT_1(KEY_RO)},
    {"lindex", lindex_command, 3, CMD_READONLY, CAT_LIST, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"lset", lset_command, 4, CMD_WRITE | CMD_DENYOOM, CAT_LIST, KEY_AT_1(KEY_RW | KEY_UPDATE)},
    {"linsert", linsert_command, 5, CMD_WRITE | CMD_DENYOOM, CAT_LIST, KEY_AT_1(KEY_RW | KEY_INSERT)},
    {"lrange", lrange_command, 4, CMD_READONLY, CAT_LIST, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"ltrim", ltrim_command, 4, CMD_WRITE, CAT_LIST, KEY_AT_1(KEY_RW | KEY_DELETE)},
    {"lrem", lrem_command, 4, CMD_WRITE, CAT_LIST, KEY_AT_1(KEY_RW | KEY_DELETE)},
    {"lpos", lpos_command, -3, CMD_READONLY, CAT_LIST, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"lmove", lmove_command, 5, CMD_WRITE | CMD_DENYOOM, CAT_LIST, MOVE_KEYS},
    {"rpoplpush", rpoplpush_command, 3, CMD_WRITE | CMD_DENYOOM, CAT_LIST, MOVE_KEYS},
    {.name = NULL},
};
