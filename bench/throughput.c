/* redis-benchmark against both servers in turn, round by round, so that whatever else the machine does hits both alike.
 * The keys are filled first: a GET of a missing key costs a fifth of a hit. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "tests/harness/client.h"
#include "tests/harness/fail.h"

#include <stdio.h>

#define KEYS        1000000
#define VALUE_BYTES 64

static const struct work {
    const char *name, *command;
    int pipeline;
    long requests;
    double cpu_at_most; /* ratio of CPU per request */
} works[] = {
    {"SET, no pipeline", "set", 1, 150000, 0.85},   {"GET, no pipeline", "get", 1, 150000, 0.85},
    {"SET, pipeline 16", "set", 16, 1000000, 0.45}, {"GET, pipeline 16", "get", 16, 1000000, 0.45},
    {"SET, pipeline 64", "set", 64, 2000000, 0.40}, {"GET, pipeline 64", "get", 64, 2000000, 0.40},
};

static void measure(struct server *s, const struct work *w, struct samples *rate, struct samples *cpu_us)
{
    char arguments[128];
    snprintf(arguments, sizeof arguments, "-t %s -c 50 -P %d -d %d -r %d", w->command, w->pipeline, VALUE_BYTES, KEYS);
    int64_t before = process_tree_cpu_us(s->pid);
    samples_add(rate, run_redis_benchmark(s, w->requests, arguments) / 1000);
    samples_add(cpu_us, (double)(process_tree_cpu_us(s->pid) - before) / (double)w->requests);
}

void bench_throughput(int rounds)
{
    struct server *ours = start_on(SERVER_CPU, OURS, ""), *redis = start_on(SERVER_CPU, DEBIAN, "");
    fill_keys(ours, 0, KEYS, VALUE_BYTES);
    fill_keys(redis, 0, KEYS, VALUE_BYTES);
    report_title("throughput: %d keys of %d bytes, 50 connections, medians of %d rounds", KEYS, VALUE_BYTES, rounds);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        struct samples rate[2] = {0}, cpu_us[2] = {0};
        for (int round = 0; round < rounds; round++) {
            measure(ours, &works[i], &rate[0], &cpu_us[0]);
            measure(redis, &works[i], &rate[1], &cpu_us[1]);
        }
        report_ratio(works[i].name, "k/s", samples_median(&rate[0]), samples_median(&rate[1]), 0);
        report_ratio("", "us CPU", samples_median(&cpu_us[0]), samples_median(&cpu_us[1]), works[i].cpu_at_most);
    }
    if (info_number(ours, "stats", "keyspace_misses") || info_number(redis, "stats", "keyspace_misses"))
        harness_fail("a GET missed its key: the figures compare different work");
    server_kill(ours);
    server_kill(redis);
}
