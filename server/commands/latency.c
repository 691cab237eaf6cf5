/* LATENCY: what took long, by kind of work, and how long commands take. Server process. */
#include "server/core/observe/latency.h"

#include "server/base/clock.h"
#include "server/commands/tables.h"
#include "server/commands/text_reply.h"
#include "server/core/command/command_table.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/observe/latency_text.h"
#include "server/core/run/call.h"
#include "server/core/settings.h"

static int64_t now_s(void)
{
    return clock_wall_us() / 1000000;
}

/* --- samples --- */

static void latency_latest(struct call *call)
{
    const struct latency_monitor *m = call->core->latency;
    struct reply_deferred events;
    size_t count = 0;
    reply_deferred_begin(call->reply, &events);
    for (enum latency_event e = 0; e < LATENCY_EVENTS; e++) {
        const struct latency_series *s = latency_series(m, e);
        if (!s) continue;
        const struct latency_sample *last = latency_sample(s, s->count - 1);
        reply_array(call->reply, 4);
        reply_bulk_text(call->reply, latency_event_name(e));
        reply_integer(call->reply, last->at_s);
        reply_integer(call->reply, last->ms);
        reply_integer(call->reply, s->max_ms);
        count++;
    }
    reply_deferred_array(call->reply, &events, count);
}

/* NULL: nothing is noted under this name. */
static const struct latency_series *series_of_arg(const struct call *call)
{
    enum latency_event e = latency_event_by_name(call->argv[2]);
    return e < LATENCY_EVENTS ? latency_series(call->core->latency, e) : NULL;
}

static void latency_history(struct call *call)
{
    const struct latency_series *s = series_of_arg(call);
    unsigned count = s ? s->count : 0;
    reply_array(call->reply, count);
    for (unsigned i = 0; i < count; i++) {
        reply_array(call->reply, 2);
        reply_integer(call->reply, latency_sample(s, i)->at_s);
        reply_integer(call->reply, latency_sample(s, i)->ms);
    }
}

static void latency_reset_command(struct call *call)
{
    struct latency_monitor *m = call->core->latency;
    int64_t count = 0;
    if (call->argc == 2)
        for (enum latency_event e = 0; e < LATENCY_EVENTS; e++) count += latency_reset(m, e);
    for (uint32_t i = 2; i < call->argc; i++) {
        enum latency_event e = latency_event_by_name(call->argv[i]);
        if (e < LATENCY_EVENTS) count += latency_reset(m, e);
    }
    reply_integer(call->reply, count);
}

/* --- for people --- */

static void latency_graph_command(struct call *call)
{
    const struct latency_series *s = series_of_arg(call);
    if (!s)
        return reply_errorf(call->reply, "ERR No samples available for event '%.*s'", (int)call->argv[2].len,
                            (const char *)call->argv[2].ptr);
    struct outq text = {0};
    latency_graph(latency_event_name(latency_event_by_name(call->argv[2])), s, now_s(), &text);
    reply_text_of(call->reply, &text);
}

static void latency_doctor_command(struct call *call)
{
    const struct core *core = call->core;
    const struct server_settings *settings = &core->settings->server;
    struct latency_circumstances c = {
        .threshold_ms = settings->latency_monitor_threshold_ms,
        .slowlog_slower_than_us = settings->slowlog_slower_than_us,
        .fork_gb_per_s = stats_fork_gb_per_s(core->stats),
        .hz = settings->hz,
    };
    struct outq text = {0};
    latency_doctor(core->latency, &c, now_s(), &text);
    reply_text_of(call->reply, &text);
}

/* --- LATENCY HISTOGRAM --- */

static void reply_histogram(struct reply *r, const struct command_entry *e)
{
    uint64_t upto[LATENCY_BUCKETS], previous = 0;
    struct reply_deferred buckets;
    size_t count = 0;
    stats_latency_buckets(e->latency_us, upto);
    reply_bulk_text(r, e->full_name);
    reply_map(r, 2);
    reply_bulk_text(r, "calls");
    reply_integer(r, (int64_t)upto[LATENCY_BUCKETS - 1]);
    reply_bulk_text(r, "histogram_usec");
    reply_deferred_begin(r, &buckets);
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        if (upto[i] == previous) continue;
        reply_integer(r, (int64_t)stats_latency_bucket_us(i));
        reply_integer(r, (int64_t)upto[i]);
        previous = upto[i];
        count++;
    }
    reply_deferred_map(r, &buckets, count);
}

/* A command and its subcommands: how many of them have run. */
static size_t reply_histograms(struct reply *r, const struct command_entry *e)
{
    size_t count = 0;
    if (e->latency_us) {
        reply_histogram(r, e);
        count++;
    }
    for (size_t i = 0; i < e->subcommand_count; i++) count += reply_histograms(r, &e->subcommands[i]);
    return count;
}

static void latency_histogram(struct call *call)
{
    const struct command_table *t = call->core->commands;
    struct reply_deferred all;
    size_t count = 0;
    reply_deferred_begin(call->reply, &all);
    if (call->argc == 2)
        for (struct command_entry *e = command_table_next(t, NULL); e; e = command_table_next(t, e))
            count += reply_histograms(call->reply, e);
    for (uint32_t i = 2; i < call->argc; i++) {
        const struct command_entry *e = command_table_find_full(t, call->argv[i]);
        if (e) count += reply_histograms(call->reply, e);
    }
    reply_deferred_map(call->reply, &all, count);
}

static void latency_help(struct call *call)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the specified command "
        "names.",
        "    If no commands are specified then all histograms are replied.",
        NULL,
    };
    call_help(call, lines);
}

#define ADMIN (CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
#define EACH  (TIP_NONDETERMINISTIC_OUTPUT | TIP_REQUEST_ALL_NODES | TIP_RESPONSE_SPECIAL)

static const struct command latency_subcommands[] = {
    {"doctor", latency_doctor_command, 2, ADMIN, 0, .tips = EACH},
    {"graph", latency_graph_command, 3, ADMIN, 0, .tips = EACH},
    {"help", latency_help, 2, CMD_LOADING | CMD_STALE, 0},
    {"histogram", latency_histogram, -2, ADMIN, 0, .tips = EACH},
    {"history", latency_history, 3, ADMIN, 0, .tips = EACH},
    {"latest", latency_latest, 2, ADMIN, 0, .tips = EACH},
    {"reset", latency_reset_command, -2, ADMIN, 0, .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {.name = NULL},
};

const struct command latency_commands[] = {
    {"latency", call_unknown_subcommand, -2, 0, 0, .subcommands = latency_subcommands},
    {.name = NULL},
};
