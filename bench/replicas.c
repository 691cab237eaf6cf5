/* What a write costs the server process itself when 0, 1 and 4 replicas listen. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <stdio.h>

#define REPLICAS_MAX 4
#define WRITES       1000000
#define LOAD         "-t set -c 50 -P 16 -d 64 -r 1000000"
#define BOUND_MS     120000

/* Microseconds of the master's own process per write. */
static double measure(enum server_kind kind, int count, int rounds)
{
    struct server *master = start_on(SERVER_CPU, kind, ""), *replicas[REPLICAS_MAX];
    for (int i = 0; i < count; i++) {
        replicas[i] = start_on(LOAD_CPU, kind, "");
        follow(replicas[i], master);
    }
    for (int i = 0; i < count; i++) wait_in_step(replicas[i], master);
    struct samples cpu_us = {0};
    for (int round = 0; round <= rounds; round++) {
        int64_t before = process_cpu_us(master->pid);
        run_redis_benchmark(master, WRITES, LOAD);
        for (int i = 0; i < count; i++) wait_until_within(BOUND_MS, in_step(replicas[i], master));
        if (round > 0) samples_add(&cpu_us, (double)(process_cpu_us(master->pid) - before) / WRITES); /* 0 fills */
    }
    for (int i = 0; i < count; i++) server_kill(replicas[i]);
    server_kill(master);
    return samples_median(&cpu_us);
}

void bench_replicas(int rounds)
{
    static const int counts[] = {0, 1, REPLICAS_MAX};
    double ours[3], redis[3];
    report_title("replicas: CPU of the server process per SET, pipeline 16, medians of %d rounds", rounds);
    for (int i = 0; i < 3; i++) {
        char what[64];
        ours[i] = measure(OURS, counts[i], rounds);
        redis[i] = measure(DEBIAN, counts[i], rounds);
        snprintf(what, sizeof what, "SET with %d replica%s", counts[i], counts[i] == 1 ? "" : "s");
        report_ratio(what, "us CPU", ours[i], redis[i], 0);
    }
    report_bound("1 replica / none", "", ours[1] / ours[0], redis[1] / redis[0], 0);
    report_bound("4 replicas / none", "", ours[2] / ours[0], redis[2] / redis[0], 1.10);
}
