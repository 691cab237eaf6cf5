/* What a write costs the server process itself when 0, 1 and 4 replicas listen.
 *
 * One master of a kind, and replicas that come and go between the turns: where a process's memory happens to lie costs
 * it more than what is sought, and so does the machine's drift. The replicas stand on the load's processor, and a load
 * that has to wait for it comes in other portions, which makes each write dearer for any master, with replicas or not:
 * so they get what the load leaves over. What is left of that effect is shown by loops that do nothing in the replicas'
 * place. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "tests/harness/client.h"
#include "tests/harness/fail.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPLICAS_MAX 4
#define WRITES       1000000
#define WARM_UP      200000
#define PER_TURN     3 /* one sample strays by a tenth, and a turn's synchronisation takes longer than it */
#define LOAD         "-t set -c 50 -P 16 -d 64 -r 1000000"
#define BOUND_MS     120000
#define PRIO_LAST    19

/* A backlog that nobody reads is gone after a second: a master without replicas is one that has none to think of. */
#define MASTER_CONFIG "repl-backlog-ttl 1\nrepl-diskless-sync-delay 0\n"

static const struct arm {
    const char *name;
    int replicas, loops;
} arms[] = {
    {"SET with no replica", 0, 0},
    {"SET with 1 replica", 1, 0},
    {"SET with 4 replicas", REPLICAS_MAX, 0},
    {"SET with none, 4 idle loops in their place", 0, REPLICAS_MAX},
};
enum { NONE, ONE, FOUR, LOOPS, ARMS };

struct family {
    struct server *master, *replicas[REPLICAS_MAX];
    struct samples cpu_us[ARMS]; /* of the master's own process per write */
};

static void step_back(pid_t pid)
{
    if (setpriority(PRIO_PROCESS, (id_t)pid, PRIO_LAST) != 0) harness_fail("setpriority");
}

static pid_t start_loop(void)
{
    pid_t pid = fork();
    if (pid < 0) harness_fail("fork");
    if (pid > 0) return pid;
    step_back(0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (volatile unsigned i = 0;; i++) continue;
}

/* Until the replicas have it all, but it is they who are asked: questions to the master would count as its work. */
static double write_through(struct family *f, int replicas, long writes)
{
    int64_t before = process_cpu_us(f->master->pid);
    run_redis_benchmark(f->master, writes, LOAD);
    int64_t end = info_number(f->master, "replication", "master_repl_offset");
    for (int i = 0; i < replicas; i++)
        wait_until_within(BOUND_MS, info_number(f->replicas[i], "replication", "slave_repl_offset") >= end);
    return (double)(process_cpu_us(f->master->pid) - before) / (double)writes;
}

static void attach(struct family *f, int replicas)
{
    for (int i = 0; i < replicas; i++) follow(f->replicas[i], f->master);
    for (int i = 0; i < replicas; i++) wait_in_step(f->replicas[i], f->master);
}

static void detach(struct family *f, int replicas)
{
    for (int i = 0; i < replicas; i++) {
        promote(f->replicas[i]);
        expect_ok(f->replicas[i], "FLUSHALL");
    }
    wait_until(info_is(f->master, "replication", "repl_backlog_active", "0"));
}

static void measure_arm(struct family *f, const struct arm *arm, struct samples *cpu_us)
{
    pid_t loops[REPLICAS_MAX];
    attach(f, arm->replicas);
    for (int i = 0; i < arm->loops; i++) loops[i] = start_loop();
    write_through(f, arm->replicas, WARM_UP);
    for (int i = 0; i < PER_TURN; i++) samples_add(cpu_us, write_through(f, arm->replicas, WRITES));
    for (int i = 0; i < arm->loops; i++) {
        kill(loops[i], SIGKILL);
        waitpid(loops[i], NULL, 0);
    }
    detach(f, arm->replicas);
}

static void measure(struct family *f, enum server_kind kind, int rounds)
{
    f->master = start_on(SERVER_CPU, kind, MASTER_CONFIG);
    for (int i = 0; i < REPLICAS_MAX; i++) {
        f->replicas[i] = start_on(LOAD_CPU, kind, "");
        step_back(f->replicas[i]->pid);
    }
    fill_keys(f->master, 0, WRITES, 64);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < ARMS; i++) measure_arm(f, &arms[i], &f->cpu_us[i]);
    for (int i = 0; i < REPLICAS_MAX; i++) server_kill(f->replicas[i]);
    server_kill(f->master);
}

static double to_none(const struct family *f, int arm)
{
    return samples_median(&f->cpu_us[arm]) / samples_median(&f->cpu_us[NONE]);
}

void bench_replicas(int rounds)
{
    static struct family ours, redis;
    measure(&ours, OURS, rounds);
    measure(&redis, DEBIAN, rounds);
    report_title("replicas: CPU of the server process per SET, pipeline 16, medians of %d rounds of %d", rounds,
                 PER_TURN);
    for (int i = 0; i < ARMS; i++)
        report_ratio(arms[i].name, "us CPU", samples_median(&ours.cpu_us[i]), samples_median(&redis.cpu_us[i]), 0);
    report_bound("1 replica / none", "", to_none(&ours, ONE), to_none(&redis, ONE), 0);
    report_bound("4 replicas / none", "", to_none(&ours, FOUR), to_none(&redis, FOUR), 1.10);
    report_bound("4 idle loops / none", "", to_none(&ours, LOOPS), to_none(&redis, LOOPS), 0);
}
