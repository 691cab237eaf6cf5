/* List commands that wait until there is something to take (core/run/block_keys.h). What they take is propagated as the
 * command that would have taken it without waiting. Server process. */
#include "server/commands/block_timeout.h"
#include "server/commands/list_key.h"
#include "server/commands/tables.h"
#include "server/core/run/block_keys.h"

static void wait_for_lists(struct call *call, uint32_t first_key, uint32_t count, int64_t timeout_ms,
                           void (*reply_denied)(struct reply *reply))
{
    const struct key_wait wait = {
        .keys = call->argv + first_key,
        .key_count = count,
        .type = TYPE_LIST,
        .timeout_ms = timeout_ms,
        .reply_denied = reply_denied,
    };
    block_on_keys(call, &wait);
}

static void blocking_pop(struct call *call, enum list_end end)
{
    int64_t timeout_ms;
    if (!block_timeout_seconds(call, call->argc - 1, &timeout_ms)) return;
    for (uint32_t i = 1; i + 1 < call->argc; i++) {
        struct list_key k;
        if (!list_key_open(&k, call, i)) return;
        if (!list_key_found(&k)) continue;
        struct bytes argv[2] = {end == LIST_HEAD ? BYTES("LPOP") : BYTES("RPOP"), k.key};
        reply_array(call->reply, 2);
        reply_bulk(call->reply, k.key);
        list_key_pop_one(&k, end);
        call_rewrite(call, call->db, 2, argv);
        return;
    }
    wait_for_lists(call, 1, call->argc - 2, timeout_ms, reply_null_array);
}

static void blpop_command(struct call *call)
{
    blocking_pop(call, LIST_HEAD);
}

static void brpop_command(struct call *call)
{
    blocking_pop(call, LIST_TAIL);
}

/* false: answered, or waiting. */
static bool blocking_move(struct call *call, enum list_end take, enum list_end give, int64_t timeout_ms)
{
    struct list_key from;
    if (!list_key_open(&from, call, 1)) return false;
    if (list_key_found(&from)) return list_key_move(&from, take, give);
    wait_for_lists(call, 1, 1, timeout_ms, reply_null);
    return false;
}

static void blmove_command(struct call *call)
{
    enum list_end take, give;
    int64_t timeout_ms;
    if (!list_end_argument(call, 3, &take) || !list_end_argument(call, 4, &give)) return call_syntax_error(call);
    if (!block_timeout_seconds(call, 5, &timeout_ms) || !blocking_move(call, take, give, timeout_ms)) return;
    struct bytes argv[5] = {BYTES("LMOVE"), call->argv[1], call->argv[2], list_end_name(take), list_end_name(give)};
    call_rewrite(call, call->db, 5, argv);
}

static void brpoplpush_command(struct call *call)
{
    int64_t timeout_ms;
    if (!block_timeout_seconds(call, 3, &timeout_ms) || !blocking_move(call, LIST_TAIL, LIST_HEAD, timeout_ms)) return;
    struct bytes argv[3] = {BYTES("RPOPLPUSH"), call->argv[1], call->argv[2]};
    call_rewrite(call, call->db, 3, argv);
}

static void blmpop_command(struct call *call)
{
    struct list_multi_pop pop;
    int64_t timeout_ms;
    if (!list_multi_pop_read(call, 2, &pop) || !block_timeout_seconds(call, 1, &timeout_ms)) return;
    if (list_multi_pop_run(call, &pop)) return;
    wait_for_lists(call, pop.first_key, pop.key_count, timeout_ms, reply_null_array);
}

#define POP_KEYS  KEYS(KEY_RANGE(1, -2, 1, KEY_RW | KEY_ACCESS | KEY_DELETE))
#define MOVE_KEYS KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT))

const struct command lists_blocking_commands[] = {
    {"blpop", blpop_command, -3, CMD_WRITE | CMD_BLOCKING, CAT_LIST, POP_KEYS},
    {"brpop", brpop_command, -3, CMD_WRITE | CMD_BLOCKING, CAT_LIST, POP_KEYS},
    {"blmove", blmove_command, 6, CMD_WRITE | CMD_DENYOOM | CMD_BLOCKING, CAT_LIST, MOVE_KEYS},
    {"brpoplpush", brpoplpush_command, 4, CMD_WRITE | CMD_DENYOOM | CMD_BLOCKING, CAT_LIST, MOVE_KEYS},
    {"blmpop", blmpop_command, -5, CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS, CAT_LIST,
     KEYS(KEYS_COUNTED_AT(2, KEY_RW | KEY_ACCESS | KEY_DELETE))},
    {.name = NULL},
};
