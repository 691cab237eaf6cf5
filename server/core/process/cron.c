/* The server's own clockwork: `hz` times a second, and before what has been written is sent. It goes by the monotonic
 * clock: a step of the wall clock must neither stop it nor hurry it. Server process, on the loop's thread. */
#include "server/core/process/cron.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/crash.h"
#include "server/core/clients/clients.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/dataset/children.h"
#include "server/core/dataset/memory_limit.h"
#include "server/core/dataset/own_keys.h"
#include "server/core/dataset/persistence.h"
#include "server/core/observe/latency.h"
#include "server/core/process/shutdown.h"
#include "server/core/run/block_keys.h"
#include "server/core/session/busy.h"
#include "server/core/session/pause.h"
#include "server/core/settings.h"
#include "server/core/tracking/tracking.h"
#include "server/keyspace/keyspace.h"
#include "server/net/loop.h"

#define TENTH_MS 100
/* of a table that is too large, or that nobody reads; a key takes less than a microsecond */
#define TRACKED_KEYS_EACH_TENTH 2000
#define EXPIRE_CYCLE_SHARE      4 /* the active expiry cycle may take a quarter of the time between two ticks */

static bool paused;

void cron_set_paused(bool wanted)
{
    paused = wanted;
}

struct clockwork {
    struct core *core;
    int64_t last_tenth_ms;
};

static void sample_rates(struct core *core)
{
    struct stats *s = core->stats;
    int64_t now_us = clock_monotonic_us();
    stats_note_loop(s, core->loop);
    stats_sample(&s->ops, s->commands_processed, now_us);
    stats_sample(&s->input, s->net_input_bytes, now_us);
    stats_sample(&s->output, s->net_output_bytes, now_us);
    stats_sample(&s->repl_input, s->net_repl_input_bytes, now_us);
    stats_sample(&s->repl_output, s->net_repl_output_bytes, now_us);
    stats_sample(&s->turns, s->loop_turns, now_us);
    stats_sample(&s->awake, s->loop_awake_us, now_us);
}

static void tenth_of_second(struct core *core, int64_t now_ms)
{
    sample_rates(core);
    mem_note_peak();
    children_reap(core->children);
    append_only_cron(core, now_ms);
    persistence_cron(core, now_ms);
    replication_cron(core->replication, now_ms);
    shutdown_cron(core, now_ms);
    tracking_trim(core->tracking, TRACKED_KEYS_EACH_TENTH);
}

static void note_late(const struct core *core, enum latency_event event, int64_t began_us)
{
    if (latency_is_on(core->latency))
        latency_note(core->latency, event, clock_monotonic_us() - began_us, clock_wall_us() / 1000000);
}

static void expire(struct core *core, int64_t period_ms)
{
    int64_t began_us = clock_monotonic_us(), wall_ms = loop_wall_ms(core->loop); /* what an expiry is told in */
    keyspace_expire_fields(core->keyspace, wall_ms, period_ms * 1000 / EXPIRE_CYCLE_SHARE);
    keyspace_expire_cycle(core->keyspace, wall_ms, period_ms * 1000 / EXPIRE_CYCLE_SHARE);
    own_keys_expire(core, wall_ms);
    note_late(core, LATENCY_EXPIRE_CYCLE, began_us);
}

static int64_t tick(void *arg)
{
    struct clockwork *w = arg;
    struct core *core = w->core;
    bool loading = persistence_state(core)->loading;
    int64_t began_us = clock_monotonic_us();
    int64_t now_ms = loop_monotonic_ms(core->loop), period_ms = 1000 / core->settings->server.hz;
    if (core->settings->server.watchdog_period_ms) crash_watch_for_stall(core->settings->server.watchdog_period_ms);
    if (paused) return period_ms;
    core->lifecycle->cron_loops++;
    keyspace_set_access_clock(core->keyspace, now_ms);
    clients_cron(core->clients, now_ms);
    if (is_busy(core->busy)) return period_ms; /* the data and the processes around it are left alone */
    if (!loading) expire(core, period_ms);
    if (now_ms - w->last_tenth_ms >= TENTH_MS) {
        w->last_tenth_ms = now_ms;
        tenth_of_second(core, now_ms);
    }
    if (loading) note_late(core, LATENCY_WHILE_BLOCKED_CRON, began_us);
    return period_ms;
}

static void before_send(void *arg)
{
    struct clockwork *w = arg;
    struct core *core = w->core;
    int64_t now_ms = loop_monotonic_ms(core->loop);
    if (block_keys_pending(core->block_keys) && !is_busy(core->busy))
        block_keys_serve(core); /* keys that went by themselves */
    pauses_end_due(core->pauses, now_ms);
    persistence_before_send(core);
    clients_before_send(core->clients);
    tracking_before_send(core->tracking);
    clients_keep_memory(core->clients); /* to which that adds */
    memory_limit_turn_ends(core);
    replication_before_send(core->replication);
    append_only_before_send(core);
}

void cron_start(struct core *core)
{
    struct clockwork *w = mem_calloc(1, sizeof *w);
    w->core = core;
    loop_set_before_send(core->loop, before_send, w);
    loop_timer_start(core->loop, 0, tick, w);
}
