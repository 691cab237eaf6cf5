/* What INFO stats counts, in the server process. Plain numbers, incremented where the thing happens. */
#ifndef SLIPSTREAM_CORE_STATS_H
#define SLIPSTREAM_CORE_STATS_H

#include "server/base/map.h"

#define STATS_SAMPLES 16

struct stats {
    uint64_t connections_received, connections_rejected, commands_processed;
    uint64_t net_input_bytes, net_output_bytes, net_repl_input_bytes, net_repl_output_bytes;
    uint64_t sync_full, sync_partial_ok, sync_partial_err;
    uint64_t total_forks, latest_fork_us, total_error_replies, acl_access_denied_auth;
    uint64_t unexpected_error_replies, dump_payload_sanitizations, total_reads, total_writes;
    uint64_t client_query_buffer_limit_disconnections, client_output_buffer_limit_disconnections;
    uint64_t evicted_clients, migrate_cached_sockets;
    struct map errors;  /* error prefix -> counter (as pointer-sized integer) */
    struct stats_rate { /* instantaneous_*: samples of one per 100 ms */
        uint64_t last_value;
        int64_t last_us;
        double samples[STATS_SAMPLES];
        unsigned next;
    } ops, input, output, repl_input, repl_output;
};

void stats_count_error(struct stats *s, const char *prefix);
void stats_sample(struct stats_rate *rate, uint64_t value, int64_t now_us);
double stats_rate_per_s(const struct stats_rate *rate);
void stats_reset(struct stats *s); /* CONFIG RESETSTAT */

#endif
