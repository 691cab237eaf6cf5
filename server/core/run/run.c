/* See run.h. Server process. */
#include "server/core/run/run.h"

#include "repl/replication.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/dataset/persistence.h"
#include "server/core/dataset/propagate.h"
#include "server/core/observe/latency.h"
#include "server/core/observe/slow_log.h"
#include "server/core/session/blocking.h"
#include "server/core/session/monitors.h"
#include "server/core/session/push.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"
#include "server/core/tracking/tracking.h"

#include <stdio.h>

static void propagate_effects(struct call *call)
{
    if (!call->changes || call->from_master) return;
    if (unlikely(call->session->unpropagated)) return replication_changed_unsaid(call->core->replication);
    if (call->rewritten) return;
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
static uint64_t slow_ticks = UINT64_MAX; /* who takes as long is looked at by the slow log and the latency monitor */

void run_chain_start(void)
{
    chained_ticks = clock_ticks();
}

static uint64_t ticks_of_us(int64_t us)
{
    return us > INT64_MAX / 1000 ? UINT64_MAX : clock_ns_to_ticks((uint64_t)us * 1000);
}

void run_follow_thresholds(struct core *core)
{
    const struct server_settings *s = &core->settings->server;
    int64_t ms = s->latency_monitor_threshold_ms;
    latency_set_threshold_ms(core->latency, ms);
    keyspace_time_removals(core->keyspace, ms > 0);
    uint64_t slow = s->slowlog_slower_than_us < 0 ? UINT64_MAX : ticks_of_us(s->slowlog_slower_than_us);
    uint64_t late = ms <= 0 ? UINT64_MAX : ticks_of_us(ms > INT64_MAX / 1000 ? INT64_MAX : ms * 1000);
    slow_ticks = slow < late ? slow : late;
}

/* As CLIENT LIST has it, without the word by which MONITOR tells a path from a host; our master by the address we
 * follow it at; of others nothing is known. */
static const char *describe_caller(const struct core *core, const struct session *s, char room[SESSION_ADDRESS_MAX])
{
    static const char local[] = "unix:";
    const char *host;
    int port;
    if (s->kind == SESSION_MASTER && replication_master_address(core->replication, &host, &port)) {
        snprintf(room, SESSION_ADDRESS_MAX, "%s:%d", host, port);
        return room;
    }
    if (!s->owner || !s->owner->address) return "?:0";
    s->owner->address(s, room);
    return strncmp(room, local, sizeof local - 1) == 0 ? room + sizeof local - 1 : room;
}

static void log_slow(const struct call *call, int64_t took_us)
{
    const struct core *core = call->core;
    char room[SESSION_ADDRESS_MAX];
    slow_log_add(core->slow_log,
                 &(struct slow_command){
                     .at_s = clock_wall_us() / 1000000,
                     .took_us = took_us,
                     .argc = call->argc,
                     .argv = call->argv,
                     .secrets = call->secrets,
                     .address = describe_caller(core, call->session, room),
                     .client_name = call->session->name,
                 },
                 core->settings->server.slowlog_max_len);
}

/* Who waits has not run yet: he is looked at when he does. EXEC's commands speak for themselves. */
static __attribute__((noinline)) void look_at_slow(const struct call *call, uint64_t ticks)
{
    const struct core *core = call->core;
    if (call->session->kind == SESSION_LOADER) return; /* a file's commands have been somebody's before */
    uint32_t flags = call->command->row->flags;
    int64_t took_us = (int64_t)(clock_ticks_to_ns(ticks) / 1000),
            least_us = core->settings->server.slowlog_slower_than_us;
    latency_note(core->latency, flags & CMD_FAST ? LATENCY_FAST_COMMAND : LATENCY_COMMAND, took_us,
                 clock_wall_us() / 1000000);
    if (call->waits || (flags & CMD_SKIP_SLOWLOG) || least_us < 0 || took_us < least_us) return;
    log_slow(call, took_us);
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
    if (unlikely(call->waits))
        s->blocked->ticks += ticks;
    else if (call->core->settings->server.latency_tracking)
        stats_count_latency(e, ticks);
    if (unlikely(ticks >= slow_ticks)) look_at_slow(call, ticks);
}

uint64_t run_uncount(struct command_entry *e, struct blocked *b)
{
    uint64_t ticks = b->ticks;
    e->calls--;
    e->ticks -= ticks;
    b->ticks = 0;
    return ticks;
}

/* After the command: what it says about its arguments is known, EXEC stands behind its commands, and RESET finds its
 * client no longer watching. */
static void show_monitors(const struct call *call)
{
    if (call->command->row->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) return;
    monitors_show(call->core, call->session, call->argc, call->argv, call->secrets);
    run_chain_start();
}

/* Apart, for few sessions have any of this. */
static __attribute__((noinline)) void after_run(struct call *call)
{
    struct session *s = call->session;
    if (s->after_run & AFTER_RUN_KEYS)
        tracking_note_command(call->core->tracking, s, call->command, call->argc, call->argv);
    if (s->depth == 0 && (s->after_run & AFTER_RUN_PUSHES)) push_held(s);
}

static const struct call *running;

const struct call *running_call(void)
{
    return running;
}

static inline struct call call_of(struct core *core, struct session *session, const struct request *request,
                                  int64_t now_ms)
{
    return (struct call){
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
    };
}

void run_command(struct core *core, struct session *session, const struct request *request, int64_t now_ms)
{
    struct call call = call_of(core, session, request, now_ms);
    call.raw = request->raw;
    call.from_master = session_is_obeyed(session);
    session->depth++;
    struct blocked *waited = session->blocked; /* and was counted when it began to */
    const struct call *around = running;       /* EXEC */
    running = &call;
    session->running_command = request->command;
    uint64_t started = chained_ticks;
    if (unlikely(waited)) started -= run_uncount(request->command, waited);
    const uint64_t *offset = &replication_history(core->replication)->offset, offset_before = *offset;
    propagate_begin(core->propagation);
    request->command->row->run(&call);
    propagate_effects(&call);
    propagate_end(core->propagation);
    if (*offset != offset_before) session->written_offset = *offset;
    if (call.changes) persistence_changed(core, call.changes);
    running = around;
    count_call(&call, started);
    if (unlikely(monitors_any(core->monitors)) && !waited) show_monitors(&call);
    session->depth--;
    if (unlikely(session->after_run)) after_run(&call);
}

void run_loaded(struct core *core, struct session *session, const struct request *request, int64_t now_ms)
{
    struct call call = call_of(core, session, request, now_ms);
    call.from_master = true;
    const struct call *around = running;
    running = &call;
    session->running_command = request->command;
    request->command->row->run(&call);
    running = around;
}
