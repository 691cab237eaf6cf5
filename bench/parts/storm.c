/* Four replicas are told to follow within half a second while 40,000 writes a second go on: how many forks, how long
 * until all have caught up, how much memory at the worst, and what a client notices. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
#include "bench/parts/steady.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <stdlib.h>

#define REPLICAS        4
#define BETWEEN_US      150000
#define CAUGHT_UP_BYTES 2000000 /* behind by less: a moment's writes */
#define BOUND_MS        180000
#define CONFIG                                                                                                         \
    "client-output-buffer-limit replica 2gb 2gb 60" /* nobody is dropped for being slow: that is not the question */

static bool caught_up(struct server *replica, struct server *master)
{
    char offset[32];
    return link_is_up(replica) &&
           info_text_if_there(replica, "replication", "slave_repl_offset", offset, sizeof offset) &&
           info_number(master, "replication", "master_repl_offset") - atoll(offset) < CAUGHT_UP_BYTES;
}

static void measure(const struct bench *b, int server)
{
    struct server *master = start_on(SERVER_CPU, &b->servers[server], CONFIG), *replicas[REPLICAS];
    fill_keys(master, 0, STEADY_KEYS, STEADY_VALUE_BYTES);
    for (int i = 0; i < REPLICAS; i++) replicas[i] = start_on(LOAD_CPU, &b->servers[server], "");
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
    bench_add(b, server, "caught-up", "s", seconds);
    bench_add(b, server, "forks", "", (double)(info_number(master, "stats", "total_forks") - forks));
    bench_add(b, server, "peak-memory-to-before", "", (double)seen.peak_bytes / (double)before_bytes);
    bench_add(b, server, "get.p99", "ms", seen.probe_p99_ms);
    rows_add(b->rows, server, b->part, "writes", "1/s", MORE_IS_BETTER, seen.writes_per_s);
    for (int i = 0; i < REPLICAS; i++) server_kill(replicas[i]);
    server_kill(master);
}

/* One round of each is a minute. */
void bench_storm(const struct bench *b)
{
    for (int i = 0; i < b->count; i++) measure(b, i);
}
