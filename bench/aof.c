/* What the append-only file costs, beside Debian's server: the CPU of a write with appendfsync everysec, the rate with
 * always, loading, and a rewrite in silence and under a steady load. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "bench/steady.h"
#include "tests/harness/client.h"
#include "tests/harness/wait.h"

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

/* Microseconds of CPU per SET: the server's own process, and all of its processes. */
struct cost {
    struct samples own, all;
};

static void sample_cost(struct server *s, struct cost *c)
{
    int64_t own_us = process_cpu_us(s->pid), all_us = process_tree_cpu_us(s->pid);
    run_redis_benchmark(s, REQUESTS, PIPELINED);
    samples_add(&c->own, (double)(process_cpu_us(s->pid) - own_us) / REQUESTS);
    samples_add(&c->all, (double)(process_tree_cpu_us(s->pid) - all_us) / REQUESTS);
}

static void compare_cpu(int rounds)
{
    struct server *with[2] = {start_on(SERVER_CPU, OURS, EVERYSEC), start_on(SERVER_CPU, DEBIAN, EVERYSEC)};
    struct server *without[2] = {start_on(SERVER_CPU, OURS, WITHOUT), start_on(SERVER_CPU, DEBIAN, WITHOUT)};
    struct cost costs[2] = {{{{0}, 0}, {{0}, 0}}}, plain[2] = {{{{0}, 0}, {{0}, 0}}};
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 2; i++) {
            sample_cost(with[i], &costs[i]);
            sample_cost(without[i], &plain[i]);
        }
    }
    double ratio[2];
    for (int i = 0; i < 2; i++) {
        ratio[i] = samples_median(&costs[i].own) / samples_median(&plain[i].own);
        server_kill(with[i]);
        server_kill(without[i]);
    }
    report_title("aof: SET, pipeline 16, appendfsync everysec, medians of %d rounds", rounds);
    report_bound("the server's CPU / without the file's", "", ratio[0], ratio[1], 1.05);
    report_ratio("CPU of all its processes", "us CPU", samples_median(&costs[0].all), samples_median(&costs[1].all),
                 0.35);
}

static void compare_always(int rounds)
{
    struct server *servers[2] = {start_on(SERVER_CPU, OURS, ALWAYS), start_on(SERVER_CPU, DEBIAN, ALWAYS)};
    struct samples us[2] = {{{0}, 0}}, p99_ms[2] = {{{0}, 0}};
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 2; i++) {
            double p99;
            samples_add(&us[i], 1e6 / run_redis_benchmark_p99(servers[i], SYNCED, ONE_BY_ONE, &p99));
            samples_add(&p99_ms[i], p99);
        }
    }
    report_title("aof: SET of 50 clients without pipeline, appendfsync always, medians of %d rounds", rounds);
    report_ratio("time per request", "us", samples_median(&us[0]), samples_median(&us[1]), 0.5);
    report_ratio("p99", "ms", samples_median(&p99_ms[0]), samples_median(&p99_ms[1]), 1);
    for (int i = 0; i < 2; i++) server_kill(servers[i]);
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
static void compare_files(int rounds)
{
    struct server *servers[2] = {start_on(SERVER_CPU, OURS, EVERYSEC), start_on(SERVER_CPU, DEBIAN, EVERYSEC)};
    struct samples load_s[2] = {{{0}, 0}}, rewrite_s[2] = {{{0}, 0}};
    for (int i = 0; i < 2; i++) fill_keys(servers[i], 0, LOAD_KEYS, VALUE_BYTES);
    for (int i = 0; i < 2; i++) server_stop(servers[i]);
    for (int i = 0; i < 2; i++) server_launch(servers[i]);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < 2; i++) samples_add(&load_s[i], load_seconds(servers[i]));
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < 2; i++) samples_add(&rewrite_s[i], rewrite_seconds(servers[i]));
    report_title("aof: a file of %d SETs, medians of %d rounds", LOAD_KEYS, rounds);
    report_ratio("load", "s", samples_median(&load_s[0]), samples_median(&load_s[1]), 0.4);
    report_ratio("rewrite", "s", samples_median(&rewrite_s[0]), samples_median(&rewrite_s[1]), 0.4);
    for (int i = 0; i < 2; i++) server_kill(servers[i]);
}

struct under_load {
    double p99_ms, memory_ratio, seconds;
};

static struct under_load rewrite_under_load(enum server_kind kind)
{
    struct server *s = start_on(SERVER_CPU, kind, EVERYSEC);
    fill_keys(s, 0, STEADY_KEYS, STEADY_VALUE_BYTES);
    uint64_t before_bytes = process_tree_pss_bytes(s->pid);
    struct steady *load = steady_start(s);
    steady_measure(load);
    double seconds = rewrite_seconds(s);
    struct steady_figures seen = steady_end(load);
    server_kill(s);
    return (struct under_load){seen.probe_p99_ms, (double)seen.peak_bytes / (double)before_bytes, seconds};
}

static void compare_rewrites_under_load(void)
{
    struct under_load ours = rewrite_under_load(OURS), redis = rewrite_under_load(DEBIAN);
    report_title("aof: a rewrite of %d keys under %d writes a second", STEADY_KEYS, STEADY_WRITES_PER_S);
    report_ratio("p99 of a GET meanwhile", "ms", ours.p99_ms, redis.p99_ms, 1);
    report_bound("peak memory / before", "", ours.memory_ratio, redis.memory_ratio, 1.3);
    report_ratio("it takes", "s", ours.seconds, redis.seconds, 0);
}

void bench_aof(int rounds)
{
    compare_cpu(rounds);
    compare_always(rounds);
    compare_files(rounds);
    compare_rewrites_under_load();
}
