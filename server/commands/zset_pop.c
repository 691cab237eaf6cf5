/* Taking the lowest or highest members of sorted sets, with and without waiting for them (core/run/block_keys.h). What
 * is taken is propagated as ZPOPMIN or ZPOPMAX. Server process. */
#include "server/commands/block_timeout.h"
#include "server/commands/packed_reply.h"
#include "server/commands/tables.h"
#include "server/commands/zset_key.h"
#include "server/core/run/block_keys.h"

enum end { LOWEST, HIGHEST };

/* One member as a flat pair, several as a list of entries, or as a list of pairs whatever the protocol. */
enum shape { FLAT_PAIR, ENTRIES, PAIRS };

static const char *event_of(enum end end)
{
    return end == LOWEST ? "zpopmin" : "zpopmax";
}

static struct bytes command_of(enum end end)
{
    return end == LOWEST ? BYTES("ZPOPMIN") : BYTES("ZPOPMAX");
}

static void reply_header(struct reply *reply, enum shape shape, size_t count)
{
    if (shape == ENTRIES)
        reply_zset_entries(reply, count, true);
    else if (shape == PAIRS)
        reply_array(reply, count);
}

static void reply_entry(struct reply *reply, enum shape shape, const struct zset_entry *e)
{
    if (shape == ENTRIES) return reply_zset_entry(reply, e, true);
    if (shape == PAIRS) reply_array(reply, 2);
    reply_packed(reply, &e->member);
    reply_double(reply, e->score);
}

/* Answers with up to count members from one end and takes them. Returns how many. */
static size_t pop(struct zset_key *k, enum end end, size_t count, enum shape shape)
{
    struct zset_walk w;
    struct zset_entry e;
    size_t all = zset_count(&k->zset), taken = count < all ? count : all;
    reply_header(k->call->reply, shape, taken);
    zset_walk_start(&w, &k->zset, end == LOWEST ? 0 : all - 1, end == HIGHEST);
    for (size_t i = 0; i < taken && zset_walk_next(&w, &e); i++) reply_entry(k->call->reply, shape, &e);
    zset_remove_ranks(&k->zset, end == LOWEST ? 0 : all - taken, taken);
    zset_key_save(k, event_of(end));
    call_changed(k->call, taken);
    return taken;
}

/* --- ZPOPMIN, ZPOPMAX --- */

static void pop_command(struct call *call, enum end end)
{
    struct zset_key k;
    int64_t count = 1;
    if (call->argc > 3) return call_syntax_error(call);
    if (call->argc == 3 &&
        !call_arg_range(call, 2, 0, INT64_MAX, &count, "ERR value is out of range, must be positive"))
        return;
    if (!zset_key_open(&k, call, 1)) return;
    if (!k.record || !count)
        reply_array(call->reply, 0);
    else if (call->argc == 2) {
        reply_array(call->reply, 2);
        pop(&k, end, 1, FLAT_PAIR);
    } else
        pop(&k, end, (size_t)count, ENTRIES);
}

static void zpopmin_command(struct call *call)
{
    pop_command(call, LOWEST);
}

static void zpopmax_command(struct call *call)
{
    pop_command(call, HIGHEST);
}

/* --- ZMPOP --- */

/* numkeys key... MIN|MAX [COUNT n], from argument `at` on. */
struct multi_pop {
    uint32_t first_key, key_count;
    enum end end;
    size_t count;
};

static bool read_multi_pop(struct call *call, uint32_t at, struct multi_pop *out)
{
    int64_t keys, count = 1;
    if (!call_arg_range(call, at, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0")) return false;
    uint32_t rest = call->argc - at - 1;
    if (keys >= (int64_t)rest) return call_syntax_error(call), false;
    uint32_t where = at + 1 + (uint32_t)keys;
    bool lowest = call_arg_is(call, where, "min");
    if (!lowest && !call_arg_is(call, where, "max")) return call_syntax_error(call), false;
    for (uint32_t i = where + 1; i < call->argc; i += 2) {
        bool first = i == where + 1 && i + 1 < call->argc && call_arg_is(call, i, "count");
        if (!first) return call_syntax_error(call), false;
        if (!call_arg_range(call, i + 1, 1, INT64_MAX, &count, "ERR count should be greater than 0")) return false;
    }
    *out = (struct multi_pop){at + 1, (uint32_t)keys, lowest ? LOWEST : HIGHEST, (size_t)count};
    return true;
}

/* Answers with the first of the keys that has a sorted set and its members. False: none has, nothing is answered. */
static bool run_multi_pop(struct call *call, const struct multi_pop *p)
{
    for (uint32_t i = 0; i < p->key_count; i++) {
        struct zset_key k;
        if (!zset_key_open(&k, call, p->first_key + i)) return true;
        if (!k.record) continue;
        reply_array(call->reply, 2);
        reply_bulk(call->reply, k.key);
        char text[I64_TEXT_MAX];
        size_t len = format_u64(text, pop(&k, p->end, p->count, PAIRS));
        struct bytes argv[3] = {command_of(p->end), k.key, bytes_make(text, len)};
        call_rewrite(call, call->db, 3, argv);
        return true;
    }
    return false;
}

static void zmpop_command(struct call *call)
{
    struct multi_pop p;
    if (read_multi_pop(call, 1, &p) && !run_multi_pop(call, &p)) reply_null_array(call->reply);
}

/* --- with waiting --- */

static void wait_for_zsets(struct call *call, uint32_t first_key, uint32_t count, int64_t timeout_ms)
{
    const struct key_wait wait = {
        .keys = call->argv + first_key,
        .key_count = count,
        .type = TYPE_ZSET,
        .timeout_ms = timeout_ms,
        .reply_denied = reply_null_array,
    };
    block_on_keys(call, &wait);
}

static void blocking_pop(struct call *call, enum end end)
{
    int64_t timeout_ms;
    if (!block_timeout_seconds(call, call->argc - 1, &timeout_ms)) return;
    for (uint32_t i = 1; i + 1 < call->argc; i++) {
        struct zset_key k;
        if (!zset_key_open(&k, call, i)) return;
        if (!k.record) continue;
        struct bytes argv[2] = {command_of(end), k.key};
        reply_array(call->reply, 3);
        reply_bulk(call->reply, k.key);
        pop(&k, end, 1, FLAT_PAIR);
        call_rewrite(call, call->db, 2, argv);
        return;
    }
    wait_for_zsets(call, 1, call->argc - 2, timeout_ms);
}

static void bzpopmin_command(struct call *call)
{
    blocking_pop(call, LOWEST);
}

static void bzpopmax_command(struct call *call)
{
    blocking_pop(call, HIGHEST);
}

static void bzmpop_command(struct call *call)
{
    struct multi_pop p;
    int64_t timeout_ms;
    if (!read_multi_pop(call, 2, &p) || !block_timeout_seconds(call, 1, &timeout_ms)) return;
    if (!run_multi_pop(call, &p)) wait_for_zsets(call, p.first_key, p.key_count, timeout_ms);
}

#define POP_KEYS             KEYS(KEY_RANGE(1, -2, 1, KEY_RW | KEY_ACCESS | KEY_DELETE))
#define COUNTED_KEYS(index_) KEYS(KEYS_COUNTED_AT(index_, KEY_RW | KEY_ACCESS | KEY_DELETE))

const struct command zset_pop_commands[] = {
    {"zpopmin", zpopmin_command, -2, CMD_WRITE | CMD_FAST, CAT_SORTEDSET, KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_DELETE)},
    {"zpopmax", zpopmax_command, -2, CMD_WRITE | CMD_FAST, CAT_SORTEDSET, KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_DELETE)},
    {"zmpop", zmpop_command, -4, CMD_WRITE | CMD_MOVABLE_KEYS, CAT_SORTEDSET, COUNTED_KEYS(1)},
    {"bzpopmin", bzpopmin_command, -3, CMD_WRITE | CMD_BLOCKING | CMD_FAST, CAT_SORTEDSET, POP_KEYS},
    {"bzpopmax", bzpopmax_command, -3, CMD_WRITE | CMD_BLOCKING | CMD_FAST, CAT_SORTEDSET, POP_KEYS},
    {"bzmpop", bzmpop_command, -5, CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS, CAT_SORTEDSET, COUNTED_KEYS(2)},
    {.name = NULL},
};
