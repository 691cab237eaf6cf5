/* Four replicas are told to follow within half a second while 40,000 writes a second go on: how many forks, how long
 * until all have caught up, how much memory at the worst, and what a client notices. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "bench/steady.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <stdlib.h>

#define REPLICAS        4
#define BETWEEN_US      150000
#define CAUGHT_UP_BYTES 2000000 /* behind by less: a moment's writes */
#define BOUND_MS        180000
#define CONFIG                                                                                                         \
    "client-output-buffer-limit replica 2gb 2gb 60" /* nobody is dropped for being slow: that is not the question */

struct figures {
    double caught_up_s, forks, memory_ratio, probe_p99_ms, writes_per_s;
};

static bool caught_up(struct server *replica, struct server *master)
{
    char offset[32];
    return link_is_up(replica) &&
           info_text_if_there(replica, "replication", "slave_repl_offset", offset, sizeof offset) &&
           info_number(master, "replication", "master_repl_offset") - atoll(offset) < CAUGHT_UP_BYTES;
}

static struct figures measure(enum server_kind kind)
{
    struct server *master = start_on(SERVER_CPU, kind, CONFIG), *replicas[REPLICAS];
    fill_keys(master, 0, STEADY_KEYS, STEADY_VALUE_BYTES);
    for (int i = 0; i < REPLICAS; i++) replicas[i] = start_on(LOAD_CPU, kind, "");
    uint64_t before_bytes = process_tree_pss_bytes(master->pid);
    struct steady *load = steady_start(master);
    long forks = info_number(master, "stats", "total_forks");
    int64_t start_us = clock_us();
    steady_measure(load);
    for (int i = 0; i < REPLICAS; i++) {
        follow(replicas[i], master);
        sleep_us(BETWEEN_US);
    }
    for (int i = 0; i < REPLICAS; i++) wait_until_within(BOUND_MS, caught_up(replicas[i], master));
    double seconds = (double)(clock_us() - start_us) / 1e6;
    struct steady_figures seen = steady_end(load);
    struct figures f = {
        .caught_up_s = seconds,
        .forks = (double)(info_number(master, "stats", "total_forks") - forks),
        .memory_ratio = (double)seen.peak_bytes / (double)before_bytes,
        .probe_p99_ms = seen.probe_p99_ms,
        .writes_per_s = seen.writes_per_s,
    };
    for (int i = 0; i < REPLICAS; i++) server_kill(replicas[i]);
    server_kill(master);
    return f;
}

void bench_storm(int rounds)
{
    (void)rounds; /* one round of each is a minute */
    struct figures ours = measure(OURS), redis = measure(DEBIAN);
    report_title("storm: %d replicas join in half a second, %d writes/s, %d keys of %d bytes", REPLICAS,
                 STEADY_WRITES_PER_S, STEADY_KEYS, STEADY_VALUE_BYTES);
    report_ratio("all caught up", "s", ours.caught_up_s, redis.caught_up_s, 0.5);
    report_bound("forks", "", ours.forks, redis.forks, 1);
    report_bound("peak memory / before", "", ours.memory_ratio, redis.memory_ratio, 1.4);
    report_bound("p99 of a GET meanwhile", "ms", ours.probe_p99_ms, redis.probe_p99_ms, 0);
    report_bound("writes kept up", "k/s", ours.writes_per_s / 1000, redis.writes_per_s / 1000, 0);
}
