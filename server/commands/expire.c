/* Expiry: EXPIRE, TTL and their families. Server process. */
#include "server/base/number.h"
#include "server/commands/expiry_option.h"
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/settings.h"

struct conditions {
    bool nx, xx, gt, lt;
};

static bool read_conditions(struct call *call, struct conditions *c)
{
    *c = (struct conditions){0};
    for (uint32_t i = 3; i < call->argc; i++) {
        if (call_arg_is(call, i, "nx"))
            c->nx = true;
        else if (call_arg_is(call, i, "xx"))
            c->xx = true;
        else if (call_arg_is(call, i, "gt"))
            c->gt = true;
        else if (call_arg_is(call, i, "lt"))
            c->lt = true;
        else {
            reply_errorf(call->reply, "ERR Unsupported option %.*s", (int)call->argv[i].len,
                         (const char *)call->argv[i].ptr);
            return false;
        }
    }
    if (c->nx && (c->xx || c->gt || c->lt)) {
        reply_error(call->reply, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (c->gt && c->lt) {
        reply_error(call->reply, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* No expiry counts as infinitely late. */
static bool conditions_hold(const struct conditions *c, int64_t current_ms, int64_t at_ms)
{
    bool has = current_ms != RECORD_NO_EXPIRY;
    if (c->nx && has) return false;
    if (c->xx && !has) return false;
    if (c->gt && (!has || at_ms <= current_ms)) return false;
    if (c->lt && has && at_ms >= current_ms) return false;
    return true;
}

static void expire_now(struct call *call)
{
    bool lazy = call->core->settings->keyspace.lazyfree_lazy_expire;
    database_delete(call->db, call->argv[1], call_key_hash(call, 1), lazy);
    call_rewrite_removal(call, call->argv[1], lazy);
    call_key_modified(call, call->db, call->argv[1]);
    call_event(call, NOTIFY_GENERIC, "del", call->db, call->argv[1]);
}

/* Replicas get the absolute time: theirs is not ours. */
static void expire_later(struct call *call, struct record *r, int64_t at_ms)
{
    char text[I64_TEXT_MAX];
    struct bytes argv[3] = {BYTES("PEXPIREAT"), call->argv[1], bytes_make(text, format_i64(text, at_ms))};
    database_set_expiry(call->db, r, at_ms);
    call_rewrite(call, call->db, 3, argv);
    call_key_modified(call, call->db, call->argv[1]);
    call_event(call, NOTIFY_GENERIC, "expire", call->db, call->argv[1]);
}

static void expire(struct call *call, enum expiry_unit unit)
{
    struct conditions conditions;
    int64_t at_ms;
    if (call->argc > 3) call_passes_on(call, WORDS_OF_7_0);
    if (!read_conditions(call, &conditions)) return;
    if (!expiry_absolute_ms(call, call->argv[2], unit, false, &at_ms)) return;
    struct record *r = call_find_write(call, 1);
    if (!r || !conditions_hold(&conditions, record_expire_ms(r), at_ms)) return reply_integer(call->reply, 0);
    /* A replica applying its master's stream, or a loader, keeps the key: the DEL is its master's to send. */
    if (at_ms <= call->now_ms && !call->from_master && call->session->kind != SESSION_LOADER)
        expire_now(call);
    else
        expire_later(call, r, at_ms < 0 ? 0 : at_ms);
    call_changed(call, 1);
    reply_integer(call->reply, 1);
}

static void expire_command(struct call *call)
{
    expire(call, EXPIRY_EX);
}

static void pexpire_command(struct call *call)
{
    expire(call, EXPIRY_PX);
}

static void expireat_command(struct call *call)
{
    expire(call, EXPIRY_EXAT);
}

static void pexpireat_command(struct call *call)
{
    expire(call, EXPIRY_PXAT);
}

enum { TTL_NO_KEY = -2, TTL_NO_EXPIRY = -1 };

static void reply_ttl(struct call *call, enum expiry_unit unit)
{
    struct record *r = call_find(call, call->db, call->argv[1], LOOKUP_NO_TOUCH);
    if (!r) return reply_integer(call->reply, TTL_NO_KEY);
    int64_t t = record_expire_ms(r);
    if (t == RECORD_NO_EXPIRY) return reply_integer(call->reply, TTL_NO_EXPIRY);
    if (!expiry_unit_is_absolute(unit)) t = t > call->now_ms ? t - call->now_ms : 0;
    reply_integer(call->reply, expiry_unit_is_seconds(unit) ? (int64_t)(((uint64_t)t + 500) / 1000) : t);
}

static void ttl_command(struct call *call)
{
    reply_ttl(call, EXPIRY_EX);
}

static void pttl_command(struct call *call)
{
    reply_ttl(call, EXPIRY_PX);
}

static void expiretime_command(struct call *call)
{
    reply_ttl(call, EXPIRY_EXAT);
}

static void pexpiretime_command(struct call *call)
{
    reply_ttl(call, EXPIRY_PXAT);
}

static void persist_command(struct call *call)
{
    struct record *r = call_find_write(call, 1);
    if (!r || record_expire_ms(r) == RECORD_NO_EXPIRY) return reply_integer(call->reply, 0);
    database_set_expiry(call->db, r, RECORD_NO_EXPIRY);
    call_key_modified(call, call->db, call->argv[1]);
    call_event(call, NOTIFY_GENERIC, "persist", call->db, call->argv[1]);
    call_changed(call, 1);
    reply_integer(call->reply, 1);
}

const struct command expire_commands[] = {
    {"expire", expire_command, -3, CMD_WRITE | CMD_FAST, CAT_KEYSPACE, KEY_AT_1(KEY_RW | KEY_UPDATE)},
    {"pexpire", pexpire_command, -3, CMD_WRITE | CMD_FAST, CAT_KEYSPACE, KEY_AT_1(KEY_RW | KEY_UPDATE)},
    {"expireat", expireat_command, -3, CMD_WRITE | CMD_FAST, CAT_KEYSPACE, KEY_AT_1(KEY_RW | KEY_UPDATE)},
    {"pexpireat", pexpireat_command, -3, CMD_WRITE | CMD_FAST, CAT_KEYSPACE, KEY_AT_1(KEY_RW | KEY_UPDATE)},
    {"ttl", ttl_command, 2, CMD_READONLY | CMD_FAST, CAT_KEYSPACE, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"pttl", pttl_command, 2, CMD_READONLY | CMD_FAST, CAT_KEYSPACE, KEY_AT_1(KEY_RO | KEY_ACCESS),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"expiretime", expiretime_command, 2, CMD_READONLY | CMD_FAST, CAT_KEYSPACE, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"pexpiretime", pexpiretime_command, 2, CMD_READONLY | CMD_FAST, CAT_KEYSPACE, KEY_AT_1(KEY_RO | KEY_ACCESS)},
    {"persist", persist_command, 2, CMD_WRITE | CMD_FAST, CAT_KEYSPACE, KEY_AT_1(KEY_RW | KEY_UPDATE)},
    {.name = NULL},
};
