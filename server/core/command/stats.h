/* What INFO stats counts, in the server process. Plain numbers, incremented where the thing happens. */
#ifndef SLIPSTREAM_CORE_COMMAND_STATS_H
#define SLIPSTREAM_CORE_COMMAND_STATS_H

#include "server/base/map.h"
#include "server/net/loop.h"

#define STATS_SAMPLES 16

struct command_entry;

struct stats {
    uint64_t connections_received, connections_rejected, commands_processed;
    uint64_t tls_handshakes, tls_handshakes_failed; /* of clients; of the failed: */
    uint64_t tls_handshakes_timed_out, tls_handshakes_dropped;
    uint64_t tls_on_plain_port; /* clients that speak TLS where we do not */
    uint64_t net_input_bytes, net_output_bytes, net_repl_input_bytes, net_repl_output_bytes;
    uint64_t loop_turns, loop_awake_us;
    struct loop_usage loop_noted; /* the loop's own counts, as of the last stats_note_loop(); never reset */
    uint64_t sync_full, sync_partial_ok, sync_partial_err;
    uint64_t total_forks, latest_fork_us, total_error_replies;
    uint64_t acl_denied_auth, acl_denied_command, acl_denied_key, acl_denied_channel;
    uint64_t latest_fork_bytes;       /* in use when it began */
    uint64_t master_commands_ignored; /* of its stream: answered with an error here, and passed over */
    uint64_t unexpected_error_replies, dump_payload_sanitizations, total_reads, total_writes;
    uint64_t exceeded_us;      /* by used memory, of maxmemory, without the present time of it */
    int64_t exceeded_since_us; /* monotonic; 0: is not exceeded; not reset */
    size_t told_bytes[2];      /* to clients, of keys that were evicted: in this turn, in the one before; not reset */
    size_t leaving_bytes;      /* of clients that are closed and not freed; not reset */
    uint64_t client_query_buffer_limit_disconnections, client_output_buffer_limit_disconnections;
    uint64_t evicted_clients, evicted_scripts, migrate_cached_sockets;
    uint64_t memory_at_start; /* mem_used() once everything is set up, before data; not reset */
    struct map errors;        /* error prefix -> counter (as pointer-sized integer) */
    struct stats_rate {       /* instantaneous_*: samples of one per 100 ms */
        uint64_t last_value;
        int64_t last_us;
        double samples[STATS_SAMPLES];
        unsigned next;
    } ops, input, output, repl_input, repl_output, turns, awake;
};

/* Latencies are kept per command in a histogram of LATENCY_SLOTS counters (command_entry.latency_us, made at the first
 * call): nanoseconds up to one second, two significant digits, so a percentile is exact to one in 128. */
#define LATENCY_SLOTS 3072
void stats_count_latency(struct command_entry *e, uint64_t ticks);
/* As LATENCY HISTOGRAM shows it: how many took no longer than each of LATENCY_BUCKETS times, which double from a
 * microsecond (1024 ns) to a second. */
#define LATENCY_BUCKETS 21
void stats_latency_buckets(const uint64_t histogram[LATENCY_SLOTS], uint64_t upto[LATENCY_BUCKETS]);
uint64_t stats_latency_bucket_us(unsigned bucket); /* its highest time */
double stats_latency_percentile_us(const uint64_t histogram[LATENCY_SLOTS], double percentile);

void stats_count_error(struct stats *s, const char *prefix);
void stats_note_loop(struct stats *s, const struct loop *loop); /* it counts for ever; we since the last reset */
void stats_sample(struct stats_rate *rate, uint64_t value, int64_t now_us);
double stats_rate_per_s(const struct stats_rate *rate);
double
stats_fork_gb_per_s(const struct stats *s); /* memory that the last fork covered in its time; 0: there was none */
void stats_reset(struct stats *s);          /* CONFIG RESETSTAT */

#endif
