/* MULTI, EXEC, DISCARD, WATCH, UNWATCH. What they mean stands in core/session/transaction.c. Server process. */
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/exec.h"
#include "server/core/session/transaction.h"
#include "server/core/session/watch.h"

static void multi_command(struct call *call)
{
    if (call->session->transaction) return reply_error(call->reply, "ERR MULTI calls can not be nested");
    transaction_begin(call->session);
    reply_ok(call->reply);
}

static void exec_command(struct call *call)
{
    if (!call->session->transaction) return reply_error(call->reply, "ERR EXEC without MULTI");
    exec_transaction(call);
}

static void discard_command(struct call *call)
{
    if (!call->session->transaction) return reply_error(call->reply, "ERR DISCARD without MULTI");
    transaction_discard(call->core->watches, call->session);
    reply_ok(call->reply);
}

static void watch_command(struct call *call)
{
    if (call->session->transaction) return reply_error(call->reply, "ERR WATCH inside MULTI is not allowed");
    if (!call->session->watch_broken) /* EXEC fails already: nothing more to watch for */
        for (uint32_t i = 1; i < call->argc; i++)
            watch_key(call->core->watches, call->session, call->db, call->argv[i], call->now_ms);
    reply_ok(call->reply);
}

static void unwatch_command(struct call *call)
{
    watch_forget_all(call->core->watches, call->session);
    reply_ok(call->reply);
}

#define ALWAYS (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY)

const struct command transaction_commands[] = {
    {"multi", multi_command, 1, ALWAYS | CMD_NOT_QUEUED, CAT_TRANSACTION},
    {"exec", exec_command, 1,
     CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG | CMD_NOT_QUEUED | CMD_ENDS_MULTI | CMD_RUNS_QUEUE,
     CAT_TRANSACTION},
    {"discard", discard_command, 1, ALWAYS | CMD_NOT_QUEUED | CMD_ENDS_MULTI, CAT_TRANSACTION},
    {"watch", watch_command, -2, ALWAYS | CMD_NOT_QUEUED, CAT_TRANSACTION, KEYS(KEY_RANGE(1, -1, 1, KEY_RO))},
    {"unwatch", unwatch_command, 1, ALWAYS, CAT_TRANSACTION},
    {.name = NULL},
};
