/* What the append-only file costs, beside Debian's server: the CPU of a write with appendfsync everysec, the rate with
 * always, loading, and a rewrite in silence and under a steady load. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
#include "bench/parts/steady.h"
#include "tests/harness/client.h"
#include "tests/harness/wait.h"

#include <stdio.h>

#define WITHOUT  "appendonly no"
#define EVERYSEC "appendonly yes\nappendfsync everysec\nauto-aof-rewrite-percentage 0"
#define ALWAYS   "appendonly yes\nappendfsync always\nauto-aof-rewrite-percentage 0"

#define PIPELINED   "-t set -c 50 -P 16 -d 64 -r 1000000"
#define ONE_BY_ONE  "-t set -c 50 -d 64 -r 1000000"
#define REQUESTS    2000000
#define SYNCED      60000
#define LOAD_KEYS   2000000
#define VALUE_BYTES 64
#define BOUND_MS    180000

static void start_all(const struct bench *b, const char *config, struct server *servers[CONTESTANTS_MAX])
{
    for (int i = 0; i < b->count; i++) servers[i] = start_on(SERVER_CPU, &b->servers[i], config);
}

static void kill_all(const struct bench *b, struct server *const *servers)
{
    for (int i = 0; i < b->count; i++) server_kill(servers[i]);
}

/* CPU per SET: of the server's own process, and of all its processes. */
static void sample_cpu(const struct bench *b, int server, struct server *s, const char *with)
{
    char name[48];
    int64_t own_us = process_cpu_us(s->pid), all_us = process_tree_cpu_us(s->pid);
    run_load(s, REQUESTS, PIPELINED);
    snprintf(name, sizeof name, "%s.set.own-cpu", with);
    bench_add(b, server, name, "us/req", (double)(process_cpu_us(s->pid) - own_us) / REQUESTS);
    snprintf(name, sizeof name, "%s.set.cpu", with);
    bench_add(b, server, name, "us/req", (double)(process_tree_cpu_us(s->pid) - all_us) / REQUESTS);
}

static void measure_cpu(const struct bench *b)
{
    struct server *with[CONTESTANTS_MAX], *without[CONTESTANTS_MAX];
    start_all(b, EVERYSEC, with);
    start_all(b, WITHOUT, without);
    for (int round = 0; round < b->rounds; round++) {
        for (int i = 0; i < b->count; i++) {
            sample_cpu(b, i, with[i], "everysec");
            sample_cpu(b, i, without[i], "without");
        }
    }
    for (int i = 0; i < b->count; i++)
        bench_add(b, i, "everysec-to-without", "",
                  bench_median(b, i, "everysec.set.own-cpu") / bench_median(b, i, "without.set.own-cpu"));
    kill_all(b, with);
    kill_all(b, without);
}

static void measure_always(const struct bench *b)
{
    struct server *servers[CONTESTANTS_MAX];
    start_all(b, ALWAYS, servers);
    for (int round = 0; round < b->rounds; round++) {
        for (int i = 0; i < b->count; i++) {
            struct load_figures f = run_load(servers[i], SYNCED, ONE_BY_ONE);
            bench_add(b, i, "always.set", "us/req", 1e6 / f.per_s);
            bench_add(b, i, "always.set.p99", "ms", f.p99_ms);
        }
    }
    kill_all(b, servers);
}

static double rewrite_seconds(struct server *s)
{
    int64_t start_us = clock_us();
    freeReplyObject(command(s, "BGREWRITEAOF"));
    wait_until_within(BOUND_MS, info_is(s, "persistence", "aof_rewrite_in_progress", "0") &&
                                    info_is(s, "persistence", "aof_rewrite_scheduled", "0"));
    return (double)(clock_us() - start_us) / 1e6;
}

/* The file of commands is loaded: what was written since the empty base. */
static void measure_files(const struct bench *b)
{
    struct server *servers[CONTESTANTS_MAX];
    start_all(b, EVERYSEC, servers);
    for (int i = 0; i < b->count; i++) fill_keys(servers[i], 0, LOAD_KEYS, VALUE_BYTES);
    for (int i = 0; i < b->count; i++) server_stop(servers[i]);
    for (int i = 0; i < b->count; i++) server_launch(servers[i]);
    for (int round = 0; round < b->rounds; round++)
        for (int i = 0; i < b->count; i++) bench_add(b, i, "load", "s", load_seconds(servers[i]));
    for (int round = 0; round < b->rounds; round++)
        for (int i = 0; i < b->count; i++) bench_add(b, i, "rewrite", "s", rewrite_seconds(servers[i]));
    kill_all(b, servers);
}

static void measure_rewrite_under_load(const struct bench *b, int server)
{
    struct server *s = start_on(SERVER_CPU, &b->servers[server], EVERYSEC);
    fill_keys(s, 0, STEADY_KEYS, STEADY_VALUE_BYTES);
    uint64_t before_bytes = process_tree_pss_bytes(s->pid);
    struct steady *load = steady_start(s);
    steady_measure(load);
    bench_add(b, server, "busy-rewrite", "s", rewrite_seconds(s));
    struct steady_figures seen = steady_end(load);
    server_kill(s);
    bench_add(b, server, "busy-rewrite.get.p99", "ms", seen.probe_p99_ms);
    bench_add(b, server, "busy-rewrite.peak-memory-to-before", "", (double)seen.peak_bytes / (double)before_bytes);
}

void bench_aof(const struct bench *b)
{
    measure_cpu(b);
    measure_always(b);
    measure_files(b);
    for (int i = 0; i < b->count; i++) measure_rewrite_under_load(b, i);
}
