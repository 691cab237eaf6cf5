/* See run.h. Server process. */
#include "server/core/run/run.h"

#include "repl/replication.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/dataset/persistence.h"
#include "server/core/dataset/propagate.h"
#include "server/core/session/monitors.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"

static void propagate_effects(struct call *call)
{
    if (!call->changes || call->rewritten || call->from_master) return;
    if (!(call->command->row->flags & (CMD_WRITE | CMD_MAY_REPLICATE))) return;
    struct propagation *p = call->core->propagation;
    int db = database_index(call->db);
    if (call->raw.len)
        propagate_raw(p, db, call->raw);
    else
        propagate_command(p, db, call->argc, call->argv);
}

/* One timestamp a command: a command's end is the next one's beginning, as long as nothing else ran in between. */
static uint64_t chained_ticks;

void run_chain_start(void)
{
    chained_ticks = clock_ticks();
}

static void count_call(struct call *call, uint64_t started)
{
    chained_ticks = clock_ticks();
    uint64_t ticks = chained_ticks - started;
    struct command_entry *e = call->command;
    e->calls++;
    e->ticks += ticks;
    call->core->stats->commands_processed++;
    struct session *s = call->session;
    if (unlikely(session_owes_error_count(s))) session_count_error(s, call->core->stats, e);
    if (call->core->settings->server.latency_tracking) stats_count_latency(e, ticks);
}

/* After the command: what it says about its arguments is known, EXEC stands behind its commands, and RESET finds its
 * client no longer watching. */
static void show_monitors(const struct call *call)
{
    if (call->command->row->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) return;
    monitors_show(call->core, call->session, call->argc, call->argv, call->secrets);
    run_chain_start();
}

static const struct call *running;

const struct call *running_call(void)
{
    return running;
}

void run_command(struct core *core, struct session *session, const struct request *request, int64_t now_ms)
{
    struct call call = {
        .core = core,
        .session = session,
        .db = session->db,
        .command = request->command,
        .argc = request->argc,
        .argv = request->argv,
        .reply = &session->reply,
        .raw = request->raw,
        .now_ms = now_ms,
        .first_key_hash = request->first_key_hash,
        .first_key_index = request->first_key_index,
        .from_master = session->kind == SESSION_MASTER,
    };
    bool waited = session->blocked != NULL; /* and was counted when it began to */
    const struct call *around = running;    /* EXEC */
    running = &call;
    session->running_command = request->command;
    uint64_t started = chained_ticks;
    const uint64_t *offset = &replication_history(core->replication)->offset, offset_before = *offset;
    propagate_begin(core->propagation);
    request->command->row->run(&call);
    propagate_effects(&call);
    propagate_end(core->propagation);
    if (*offset != offset_before) session->written_offset = *offset;
    if (call.changes) persistence_changed(core, call.changes);
    running = around;
    if (unlikely(waited)) request->command->calls--;
    count_call(&call, started);
    if (unlikely(monitors_any(core->monitors)) && !waited) show_monitors(&call);
}

void run_loaded(struct core *core, struct session *session, const struct request *request, int64_t now_ms)
{
    struct call call = {
        .core = core,
        .session = session,
        .db = session->db,
        .command = request->command,
        .argc = request->argc,
        .argv = request->argv,
        .reply = &session->reply,
        .now_ms = now_ms,
        .first_key_hash = request->first_key_hash,
        .first_key_index = request->first_key_index,
        .from_master = true,
    };
    const struct call *around = running;
    running = &call;
    session->running_command = request->command;
    request->command->row->run(&call);
    running = around;
}
