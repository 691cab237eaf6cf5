/* The server as a whole: saving, stopping, time, watching. Server process. */
#include "rdb/form.h"
#include "server/base/clock.h"
#include "server/base/number.h"
#include "server/commands/tables.h"
#include "server/core/clients/clients.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/dataset/children.h"
#include "server/core/dataset/persistence.h"
#include "server/core/process/shutdown.h"
#include "server/core/run/call.h"
#include "server/core/session/busy.h"
#include "server/core/session/monitors.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"
#include "server/core/version.h"

#include <errno.h>
#include <stdio.h>

static void refuse_save(struct call *call)
{
    char why[RDB_FORM_WHY_BYTES];
    enum rdb_write_for form = (enum rdb_write_for)call->core->settings->rdb.write_for;
    if (rdb_form_holds(call->core->keyspace, form, why)) return reply_error(call->reply, "ERR");
    reply_errorf(call->reply, "ERR An RDB for %s (rdb-write-for) cannot be written: %s", rdb_form_reader(form), why);
}

static void save_command(struct call *call)
{
    if (children_running(call->core->children) & CHILD_SAVE)
        return reply_error(call->reply, "ERR Background save already in progress");
    if (persistence_save_now(call->core))
        refuse_save(call);
    else
        reply_ok(call->reply);
}

static void bgsave_command(struct call *call)
{
    bool schedule = call->argc == 2 && call_arg_is(call, 1, "schedule");
    if (call->argc > 2 || (call->argc == 2 && !schedule)) return call_syntax_error(call);
    const struct children *children = call->core->children;
    if (children_running(children) & CHILD_SAVE)
        return reply_error(call->reply, "ERR Background save already in progress");
    bool other = children_running(children) != CHILD_NONE || children_are_expected(children);
    if (!other && !call->session->in_exec) {
        if (persistence_save_in_background(call->core))
            refuse_save(call);
        else
            reply_simple(call->reply, "Background saving started");
        return;
    }
    if (!schedule && other)
        return reply_error(
            call->reply,
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order "
            "to schedule a BGSAVE whenever possible.");
    persistence_state(call->core)->bgsave_scheduled = true; /* inside EXEC too: no fork in mid-transaction */
    reply_simple(call->reply, "Background saving scheduled");
}

static void bgrewriteaof_command(struct call *call)
{
    enum append_only_answer answer = append_only_rewrite(call->core, call->session->in_exec);
    if (answer == APPEND_ONLY_OPENING && append_only_answer_later(call->core, call->session))
        call->waits = true;
    else
        append_only_answer_to(call->reply, answer);
}

static void lastsave_command(struct call *call)
{
    reply_integer(call->reply, persistence_state(call->core)->last_save_s);
}

static void shutdown_command(struct call *call)
{
    int flags = 0;
    bool abort = false;
    for (uint32_t i = 1; i < call->argc; i++) {
        if (call_arg_is(call, i, "nosave"))
            flags |= SHUTDOWN_NOSAVE;
        else if (call_arg_is(call, i, "save"))
            flags |= SHUTDOWN_SAVE;
        else if (call_arg_is(call, i, "now"))
            flags |= SHUTDOWN_NOW;
        else if (call_arg_is(call, i, "force"))
            flags |= SHUTDOWN_FORCE;
        else if (call_arg_is(call, i, "abort"))
            abort = true;
        else
            return call_syntax_error(call);
    }
    if ((abort && flags) || ((flags & SHUTDOWN_NOSAVE) && (flags & SHUTDOWN_SAVE))) return call_syntax_error(call);
    if (abort) {
        if (shutdown_abort(call->core))
            reply_error(call->reply, "ERR No shutdown in progress.");
        else
            reply_ok(call->reply);
        return;
    }
    if (is_busy(call->core->busy)) {
        if (!(flags & SHUTDOWN_NOSAVE)) return reply_error(call->reply, call->core->busy->refusal);
        flags |= SHUTDOWN_NOW;
    }
    if (call->session->in_exec && !(flags & SHUTDOWN_NOW))
        return reply_error(call->reply, "ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client");
    if (shutdown_begin(call->core, flags, call->session))
        reply_error(call->reply, "ERR Errors trying to SHUTDOWN. Check logs.");
}

/* Time stands still for a script: what it hears first, it hears again. */
static void time_command(struct call *call)
{
    struct session *s = call->session;
    int64_t now_us = s->script_time_us ? s->script_time_us : clock_wall_us();
    if (s->kind == SESSION_SCRIPT) s->script_time_us = now_us;
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, now_us / 1000000);
    reply_bulk_integer(call->reply, now_us % 1000000);
}

static void monitor_command(struct call *call)
{
    struct client *client = call->session->client;
    if (!client || call->session->in_exec)
        return reply_error(call->reply, "ERR MONITOR isn't allowed for DENY BLOCKING client");
    monitors_join(call->core->monitors, call->session);
    reply_ok(call->reply);
}

/* A wake: what a slipstream looks like from behind. VERSION picks nothing yet, as there is one picture. */
static void lolwut_command(struct call *call)
{
    char art[2048];
    size_t n = 0;
    int64_t version;
    if (call->argc > 2 && call_arg_is(call, 1, "version") && !call_arg_i64(call, 2, &version, NULL)) return;
    for (int row = 0; row < 9; row++) {
        int spread = row < 4 ? 4 - row : row - 4;
        for (int column = 0; column < 66; column++) {
            bool wake = column >= spread * 7 && (column + row * 5) % 11 < 8 - spread;
            art[n++] = wake ? (spread ? '~' : '=') : ' ';
        }
        art[n++] = '\n';
    }
    n += (size_t)snprintf(art + n, sizeof art - n, "\nRedis ver. %s (Slipstream %s)\n", REDIS_VERSION,
                          SLIPSTREAM_VERSION);
    reply_verbatim(call->reply, bytes_make(art, n), "txt");
}

const struct command server_commands[] = {
    {"save", save_command, 1, CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI, 0},
    {"bgsave", bgsave_command, -1, CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING, 0},
    {"bgrewriteaof", bgrewriteaof_command, 1, CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING, 0},
    {"lastsave", lastsave_command, 1, CMD_LOADING | CMD_STALE | CMD_FAST, CAT_ADMIN | CAT_DANGEROUS,
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"shutdown", shutdown_command, -1,
     CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_NO_MULTI | CMD_SENTINEL | CMD_ALLOW_BUSY, 0},
    {"time", time_command, 1, CMD_LOADING | CMD_STALE | CMD_FAST, 0, .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"monitor", monitor_command, 1, CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, 0},
    {"lolwut", lolwut_command, -1, CMD_READONLY | CMD_FAST, 0},
    {.name = NULL},
};
