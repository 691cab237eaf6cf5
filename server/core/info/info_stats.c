/* INFO's sections about clients and about what has been counted since the start or CONFIG RESETSTAT. Server process. */
#include "server/core/info/info_parts.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/number.h"
#include "server/core/clients/clients.h"
#include "server/core/command/command_table.h"
#include "server/core/command/stats.h"
#include "server/core/dataset/memory_limit.h"
#include "server/core/dataset/own_keys.h"
#include "server/core/run/block_keys.h"
#include "server/core/session/blocking.h"
#include "server/core/session/pubsub.h"
#include "server/core/settings.h"
#include "server/core/tracking/tracking.h"
#include "server/keyspace/keyspace.h"
#include "server/net/loop.h"
#include "server/net/pool/pool.h"

#include <stdio.h>

static void count_field(struct outq *out, const char *name, uint64_t value)
{
    info_field(out, "%s:%llu", name, (unsigned long long)value);
}

static void rate_field(struct outq *out, const char *name, const struct stats_rate *bytes)
{
    info_field(out, "%s:%.2f", name, stats_rate_per_s(bytes) / 1024);
}

/* --- clients --- */

void info_clients(struct core *core, struct outq *out)
{
    uint64_t biggest_input, biggest_output;
    clients_recent_peaks(core->clients, &biggest_input, &biggest_output);
    count_field(out, "connected_clients",
                clients_count(core->clients) - clients_count_handed_over(core->clients) +
                    replication_master_link_up(core->replication)); /* listed among them, as in Redis */
    count_field(out, "cluster_connections", 0);
    count_field(out, "maxclients", core->settings->net.max_clients);
    count_field(out, "client_recent_max_input_buffer", biggest_input);
    count_field(out, "client_recent_max_output_buffer", biggest_output);
    count_field(out, "blocked_clients", blocking_count(core->blocking));
    count_field(out, "tracking_clients", tracking_figures(core->tracking).sessions);
    count_field(out, "clients_in_timeout_table", blocking_count_timeouts(core->blocking));
    count_field(out, "total_blocking_keys", block_keys_count(core->block_keys));
    count_field(out, "total_blocking_keys_on_nokey", block_keys_count_waking_when_gone(core->block_keys));
}

/* --- stats, in groups of Redis's order --- */

static void traffic_fields(const struct stats *s, struct outq *out)
{
    count_field(out, "total_connections_received", s->connections_received);
    count_field(out, "total_commands_processed", s->commands_processed);
    info_field(out, "instantaneous_ops_per_sec:%.0f", stats_rate_per_s(&s->ops));
    count_field(out, "total_net_input_bytes", s->net_input_bytes + s->net_repl_input_bytes);
    count_field(out, "total_net_output_bytes", s->net_output_bytes + s->net_repl_output_bytes);
    count_field(out, "total_net_repl_input_bytes", s->net_repl_input_bytes);
    count_field(out, "total_net_repl_output_bytes", s->net_repl_output_bytes);
    rate_field(out, "instantaneous_input_kbps", &s->input);
    rate_field(out, "instantaneous_output_kbps", &s->output);
    rate_field(out, "instantaneous_input_repl_kbps", &s->repl_input);
    rate_field(out, "instantaneous_output_repl_kbps", &s->repl_output);
    count_field(out, "rejected_connections", s->connections_rejected);
    count_field(out, "tls_handshakes", s->tls_handshakes);
    count_field(out, "tls_handshakes_failed", s->tls_handshakes_failed);
    count_field(out, "tls_handshakes_timed_out", s->tls_handshakes_timed_out);
    count_field(out, "tls_handshakes_dropped", s->tls_handshakes_dropped);
    count_field(out, "tls_on_plain_port", s->tls_on_plain_port);
    count_field(out, "sync_full", s->sync_full);
    count_field(out, "sync_partial_ok", s->sync_partial_ok);
    count_field(out, "sync_partial_err", s->sync_partial_err);
}

static void key_fields(const struct core *core, const struct stats *s, struct outq *out)
{
    const struct keyspace_stats *k = keyspace_stats(core->keyspace);
    uint64_t current_us, total_us = memory_limit_exceeded_us(core, &current_us);
    count_field(out, "expired_keys", k->expired);
    count_field(out, "expired_subkeys", k->expired_fields);
    info_field(out, "expired_stale_perc:%.2f", (double)k->expired_stale_perc_x100 / 100);
    count_field(out, "expired_time_cap_reached_count", k->expired_time_cap_reached);
    count_field(out, "expire_cycle_cpu_milliseconds", k->expire_cycle_us / 1000);
    count_field(out, "evicted_keys", k->evicted);
    count_field(out, "evicted_clients", s->evicted_clients);
    count_field(out, "evicted_scripts", s->evicted_scripts);
    count_field(out, "total_eviction_exceeded_time", total_us / 1000);
    count_field(out, "current_eviction_exceeded_time", current_us / 1000);
    count_field(out, "keyspace_hits", k->hits);
    count_field(out, "keyspace_misses", k->misses);
}

static void feature_fields(const struct core *core, const struct stats *s, struct outq *out)
{
    count_field(out, "pubsub_channels", pubsub_names(core->pubsub, PUBSUB_CHANNEL)->count);
    count_field(out, "pubsub_patterns", pubsub_names(core->pubsub, PUBSUB_PATTERN)->count);
    count_field(out, "pubsubshard_channels", pubsub_names(core->pubsub, PUBSUB_SHARD)->count);
    count_field(out, "latest_fork_usec", s->latest_fork_us);
    count_field(out, "total_forks", s->total_forks);
    count_field(out, "migrate_cached_sockets", s->migrate_cached_sockets);
    count_field(out, "slave_expires_tracked_keys", own_keys_count(core->own_keys));
    count_field(out, "active_defrag_hits", 0);
    count_field(out, "active_defrag_misses", 0);
    count_field(out, "active_defrag_key_hits", 0);
    count_field(out, "active_defrag_key_misses", 0);
    count_field(out, "total_active_defrag_time", 0);
    count_field(out, "current_active_defrag_time", 0);
    struct tracking_figures tracking = tracking_figures(core->tracking);
    count_field(out, "tracking_total_keys", tracking.keys);
    count_field(out, "tracking_total_items", tracking.items);
    count_field(out, "tracking_total_prefixes", tracking.prefixes);
}

static struct pool_thread_view all_io_threads(const struct core *core)
{
    struct pool_thread_view sum = {0};
    for (unsigned i = 0; i < pool_view(core->io_threads).threads; i++) {
        struct pool_thread_view one = pool_thread_view(core->io_threads, i);
        sum.connections += one.connections;
        sum.reads += one.reads;
        sum.writes += one.writes;
    }
    return sum;
}

static void error_fields(const struct core *core, struct outq *out)
{
    const struct stats *s = core->stats;
    struct pool_thread_view io_threads = all_io_threads(core);
    count_field(out, "unexpected_error_replies", s->unexpected_error_replies);
    count_field(out, "master_commands_ignored", s->master_commands_ignored);
    count_field(out, "total_error_replies", s->total_error_replies);
    count_field(out, "dump_payload_sanitizations", s->dump_payload_sanitizations);
    count_field(out, "total_reads_processed", s->total_reads);
    count_field(out, "total_writes_processed", s->total_writes);
    count_field(out, "io_threaded_reads_processed", io_threads.reads);
    count_field(out, "io_threaded_writes_processed", io_threads.writes);
    count_field(out, "client_query_buffer_limit_disconnections", s->client_query_buffer_limit_disconnections);
    count_field(out, "client_output_buffer_limit_disconnections", s->client_output_buffer_limit_disconnections);
    count_field(out, "reply_buffer_shrinks", 0);
    count_field(out, "reply_buffer_expands", 0);
    count_field(out, "acl_access_denied_auth", s->acl_denied_auth);
    count_field(out, "acl_access_denied_cmd", s->acl_denied_command);
    count_field(out, "acl_access_denied_key", s->acl_denied_key);
    count_field(out, "acl_access_denied_channel", s->acl_denied_channel);
}

static uint64_t time_in_commands_us(const struct core *core)
{
    uint64_t ticks = 0;
    for (struct command_entry *e = command_table_next(core->commands, NULL); e;
         e = command_table_next(core->commands, e)) {
        ticks += e->ticks;
        for (size_t i = 0; i < e->subcommand_count; i++) ticks += e->subcommands[i].ticks;
    }
    return clock_ticks_to_ns(ticks) / 1000;
}

static void loop_fields(const struct core *core, const struct stats *s, struct outq *out)
{
    double turns_per_s = stats_rate_per_s(&s->turns), awake_us_per_s = stats_rate_per_s(&s->awake);
    count_field(out, "eventloop_cycles", s->loop_turns);
    count_field(out, "eventloop_duration_sum", s->loop_awake_us);
    count_field(out, "eventloop_duration_cmd_sum", time_in_commands_us(core));
    info_field(out, "instantaneous_eventloop_cycles_per_sec:%.0f", turns_per_s);
    info_field(out, "instantaneous_eventloop_duration_usec:%.0f", turns_per_s > 0 ? awake_us_per_s / turns_per_s : 0);
}

void info_stats(struct core *core, struct outq *out)
{
    stats_note_loop(core->stats, core->loop);
    const struct stats *s = core->stats;
    traffic_fields(s, out);
    key_fields(core, s, out);
    feature_fields(core, s, out);
    error_fields(core, out);
    loop_fields(core, s, out);
}

/* --- per command --- */

static void each_command(struct core *core,
                         void (*visit)(const struct core *, const struct command_entry *, struct outq *),
                         struct outq *out)
{
    for (struct command_entry *e = command_table_next(core->commands, NULL); e;
         e = command_table_next(core->commands, e)) {
        visit(core, e, out);
        for (size_t i = 0; i < e->subcommand_count; i++) visit(core, &e->subcommands[i], out);
    }
}

static void command_field(const struct core *core, const struct command_entry *e, struct outq *out)
{
    (void)core;
    if (!e->calls && !e->rejected && !e->failed) return;
    uint64_t us = clock_ticks_to_ns(e->ticks) / 1000;
    info_field(out, "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu",
               e->full_name, (unsigned long long)e->calls, (unsigned long long)us,
               e->calls ? (double)us / (double)e->calls : 0.0, (unsigned long long)e->rejected,
               (unsigned long long)e->failed);
}

void info_commandstats(struct core *core, struct outq *out)
{
    each_command(core, command_field, out);
}

void info_errorstats(struct core *core, struct outq *out)
{
    const struct map *errors = &core->stats->errors;
    for (struct map_entry *e = map_next(errors, NULL); e; e = map_next(errors, e))
        info_field(out, "errorstat_%.*s:count=%llu", (int)e->key.len, (const char *)e->key.ptr,
                   (unsigned long long)(uintptr_t)e->value);
}

static void latency_field(const struct core *core, const struct command_entry *e, struct outq *out)
{
    const struct server_settings *s = &core->settings->server;
    if (!e->latency_us || !e->calls) return;
    char text[900] = "";
    size_t len = 0;
    for (int i = 0; i < s->latency_percentile_count && len < sizeof text; i++) {
        char name[DOUBLE_TEXT_MAX];
        int name_len = (int)format_double(name, s->latency_percentiles[i]);
        len += (size_t)snprintf(text + len, sizeof text - len, "%sp%.*s=%.3f", i ? "," : "", name_len, name,
                                stats_latency_percentile_us(e->latency_us, s->latency_percentiles[i]));
    }
    info_field(out, "latency_percentiles_usec_%s:%s", e->full_name, text);
}

void info_latencystats(struct core *core, struct outq *out)
{
    if (core->settings->server.latency_tracking) each_command(core, latency_field, out);
}

/* --- threads, in Redis 8's form --- */

static void thread_field(struct outq *out, unsigned number, struct pool_thread_view v)
{
    info_field(out, "io_thread_%u:clients=%u,reads=%llu,writes=%llu", number, v.connections,
               (unsigned long long)v.reads, (unsigned long long)v.writes);
}

/* The loop's own is the first: it has what the others have not. */
void info_threads(struct core *core, struct outq *out)
{
    const struct stats *s = core->stats;
    struct pool_thread_view others = all_io_threads(core), own = {0};
    size_t clients = clients_count(core->clients) - clients_count_handed_over(core->clients);
    own.connections = clients > others.connections ? (uint32_t)(clients - others.connections) : 0;
    own.reads = s->total_reads > others.reads ? s->total_reads - others.reads : 0;
    own.writes = s->total_writes > others.writes ? s->total_writes - others.writes : 0;
    thread_field(out, 0, own);
    for (unsigned i = 0; i < pool_view(core->io_threads).threads; i++)
        thread_field(out, i + 1, pool_thread_view(core->io_threads, i));
}
