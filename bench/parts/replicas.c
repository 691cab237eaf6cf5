/* What a write costs the server process itself when 0, 1 and 4 replicas listen.
 *
 * One master of a kind, and replicas that come and go between the turns: where a process's memory happens to lie costs
 * it more than what is sought, and so does the machine's drift. The replicas stand on the load's processor, and a load
 * that has to wait for it comes in other portions, which makes each write dearer for any master, with replicas or not:
 * so they get what the load leaves over. What is left of that effect is shown by loops that do nothing in the replicas'
 * place. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
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
    const char *name, *to_none;
    int replicas, loops;
} arms[] = {
    {"set.0-replicas.cpu", NULL, 0, 0},
    {"set.1-replica.cpu", "1-replica-to-none", 1, 0},
    {"set.4-replicas.cpu", "4-replicas-to-none", REPLICAS_MAX, 0},
    {"set.4-idle-loops.cpu", "4-idle-loops-to-none", 0, REPLICAS_MAX},
};
#define ARMS (int)(sizeof arms / sizeof *arms)

struct family {
    struct server *master, *replicas[REPLICAS_MAX];
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
    run_load(f->master, writes, LOAD);
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

static void measure_arm(const struct bench *b, int server, struct family *f, const struct arm *arm)
{
    pid_t loops[REPLICAS_MAX];
    attach(f, arm->replicas);
    for (int i = 0; i < arm->loops; i++) loops[i] = start_loop();
    write_through(f, arm->replicas, WARM_UP);
    for (int i = 0; i < PER_TURN; i++)
        bench_add(b, server, arm->name, "us/req", write_through(f, arm->replicas, WRITES));
    for (int i = 0; i < arm->loops; i++) {
        kill(loops[i], SIGKILL);
        waitpid(loops[i], NULL, 0);
    }
    detach(f, arm->replicas);
}

static void measure(const struct bench *b, int server)
{
    struct family f = {.master = start_on(SERVER_CPU, &b->servers[server], MASTER_CONFIG)};
    for (int i = 0; i < REPLICAS_MAX; i++) {
        f.replicas[i] = start_on(LOAD_CPU, &b->servers[server], "");
        step_back(f.replicas[i]->pid);
    }
    fill_keys(f.master, 0, WRITES, 64);
    for (int round = 0; round < b->rounds; round++)
        for (int i = 0; i < ARMS; i++) measure_arm(b, server, &f, &arms[i]);
    for (int i = 1; i < ARMS; i++)
        bench_add(b, server, arms[i].to_none, "",
                  bench_median(b, server, arms[i].name) / bench_median(b, server, arms[0].name));
    for (int i = 0; i < REPLICAS_MAX; i++) server_kill(f.replicas[i]);
    server_kill(f.master);
}

/* CPU of the master's own process per write. */
void bench_replicas(const struct bench *b)
{
    for (int i = 0; i < b->count; i++) measure(b, i);
}
