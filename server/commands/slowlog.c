/* SLOWLOG: what has taken long. Server process. */
#include "server/core/observe/slow_log.h"

#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/call.h"

#define SHOWN_BY_DEFAULT 10

static void reply_entry(struct reply *r, const struct slow_entry *e)
{
    reply_array(r, 6);
    reply_integer(r, (int64_t)e->id);
    reply_integer(r, e->at_s);
    reply_integer(r, e->took_us);
    reply_array(r, e->argc);
    for (uint32_t i = 0; i < e->argc; i++) reply_bulk(r, e->argv[i]);
    reply_bulk(r, e->address);
    reply_bulk(r, e->client_name);
}

static void slowlog_get(struct call *call)
{
    static const char refusal[] = "ERR count should be greater than or equal to -1";
    const struct slow_log *log = call->core->slow_log;
    int64_t count = SHOWN_BY_DEFAULT, length = (int64_t)slow_log_length(log);
    if (call->argc > 3) return call_unknown_subcommand(call);
    if (call->argc == 3 && !call_arg_range(call, 2, -1, INT64_MAX, &count, refusal)) return;
    if (count < 0 || count > length) count = length;
    reply_array(call->reply, (size_t)count);
    for (const struct slow_entry *e = slow_log_next(log, NULL); count > 0; e = slow_log_next(log, e), count--)
        reply_entry(call->reply, e);
}

static void slowlog_len(struct call *call)
{
    reply_integer(call->reply, (int64_t)slow_log_length(call->core->slow_log));
}

static void slowlog_reset(struct call *call)
{
    slow_log_reset(call->core->slow_log);
    reply_ok(call->reply);
}

static void slowlog_help(struct call *call)
{
    static const char *const lines[] = {
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
        NULL,
    };
    call_help(call, lines);
}

#define ADMIN (CMD_ADMIN | CMD_LOADING | CMD_STALE)

static const struct command slowlog_subcommands[] = {
    {"get", slowlog_get, -2, ADMIN, 0, .tips = TIP_REQUEST_ALL_NODES | TIP_NONDETERMINISTIC_OUTPUT},
    {"help", slowlog_help, 2, CMD_LOADING | CMD_STALE, 0},
    {"len", slowlog_len, 2, ADMIN, 0,
     .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_AGG_SUM | TIP_NONDETERMINISTIC_OUTPUT},
    {"reset", slowlog_reset, 2, ADMIN, 0, .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {.name = NULL},
};

const struct command slowlog_commands[] = {
    {"slowlog", call_unknown_subcommand, -2, 0, 0, .subcommands = slowlog_subcommands},
    {.name = NULL},
};
