/* What a write costs the server process itself when 0, 1 and 4 replicas listen. The three masters of a kind run side
 * by side and take turns: a machine's speed drifts by more than what is sought. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "tests/harness/client.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <stdio.h>

#define REPLICAS_MAX 4
#define WRITES       1000000
#define LOAD         "-t set -c 50 -P 16 -d 64 -r 1000000"
#define BOUND_MS     120000

static const int counts[] = {0, 1, REPLICAS_MAX};
#define FAMILIES (sizeof counts / sizeof *counts)

struct family {
    struct server *master, *replicas[REPLICAS_MAX];
    int count;
    struct samples cpu_us; /* of the master's own process per write */
};

static void raise_family(struct family *f, enum server_kind kind, int count)
{
    *f = (struct family){.master = start_on(SERVER_CPU, kind, ""), .count = count};
    for (int i = 0; i < count; i++) {
        f->replicas[i] = start_on(LOAD_CPU, kind, "");
        follow(f->replicas[i], f->master);
    }
    for (int i = 0; i < count; i++) wait_in_step(f->replicas[i], f->master);
}

/* Until the replicas have it all, but it is they who are asked: questions to the master would count as its work. */
static double write_through(struct family *f)
{
    int64_t before = process_cpu_us(f->master->pid);
    run_redis_benchmark(f->master, WRITES, LOAD);
    int64_t end = info_number(f->master, "replication", "master_repl_offset");
    for (int i = 0; i < f->count; i++)
        wait_until_within(BOUND_MS, info_number(f->replicas[i], "replication", "slave_repl_offset") >= end);
    return (double)(process_cpu_us(f->master->pid) - before) / WRITES;
}

static double to_none(const struct family families[FAMILIES], size_t i)
{
    return samples_median(&families[i].cpu_us) / samples_median(&families[0].cpu_us);
}

static void kill_family(struct family *f)
{
    for (int i = 0; i < f->count; i++) server_kill(f->replicas[i]);
    server_kill(f->master);
}

static void measure(struct family families[FAMILIES], enum server_kind kind, int rounds)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        raise_family(&families[i], kind, counts[i]);
        write_through(&families[i]); /* fills */
    }
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < FAMILIES; i++) samples_add(&families[i].cpu_us, write_through(&families[i]));
    for (size_t i = 0; i < FAMILIES; i++) kill_family(&families[i]);
}

void bench_replicas(int rounds)
{
    static struct family families[2][FAMILIES];
    struct family *ours = families[0], *redis = families[1];
    measure(ours, OURS, rounds);
    measure(redis, DEBIAN, rounds);
    report_title("replicas: CPU of the server process per SET, pipeline 16, medians of %d rounds", rounds);
    for (size_t i = 0; i < FAMILIES; i++) {
        char what[64];
        snprintf(what, sizeof what, "SET with %d replica%s", counts[i], counts[i] == 1 ? "" : "s");
        report_ratio(what, "us CPU", samples_median(&ours[i].cpu_us), samples_median(&redis[i].cpu_us), 0);
    }
    report_bound("1 replica / none", "", to_none(ours, 1), to_none(redis, 1), 0);
    report_bound("4 replicas / none", "", to_none(ours, 2), to_none(redis, 2), 1.10);
}
