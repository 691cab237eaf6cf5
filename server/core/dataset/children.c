/* Forked children, in the server process (and the first steps inside the child).
 *
 * A child is a snapshot of the server's memory with a job. It must not disturb the server: it gives up every descriptor
 * of the loop at once, is the first to go when memory runs out, and dies when its server does. Its end is seen through
 * a pidfd on the loop, or by cron where the kernel has none. */
#include "server/core/dataset/children.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/cpu_affinity.h"
#include "server/base/crash.h"
#include "server/base/log.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/observe/latency.h"
#include "server/core/os/oom_score.h"
#include "server/core/os/process_title.h"
#include "server/core/session/busy.h"
#include "server/keyspace/keyspace.h"
#include "server/net/loop.h"
#include "shm/layout.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 2 /* whose fork it is, and a companion */

struct children {
    struct core *core;
    struct child_job jobs[JOBS_MAX]; /* job i has failed when bit i of the exit code is set */
    int job_count;                   /* 0: nothing runs */
    struct child_companion companion;
    bool expected;
    pid_t pid;
    unsigned dismissed; /* enum child_purpose: what is not needed any more */
    int64_t started_ms;
    int pidfd;
    struct loop_watch *watch;
    struct shm_child *progress; /* shared with the child */
    int64_t cow_cost_us;        /* in the child: how long the last measurement took */
    int left_fd;                /* in the child: the companion's file; -1: none */
    uint64_t last_rdb_cow_bytes, last_aof_cow_bytes;
    int64_t last_rdb_s;
};

struct children *children_new(struct core *core)
{
    struct children *c = mem_calloc(1, sizeof *c);
    c->core = core;
    c->pidfd = -1;
    c->left_fd = -1;
    c->last_rdb_s = -1;
    c->progress = mmap(NULL, sizeof *c->progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(c->progress != MAP_FAILED);
    return c;
}

/* --- in the child --- */

static uint64_t private_dirty_bytes(void)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    uint64_t kib = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Private_Dirty: %lu kB", &kib) == 1) break;
    if (f) fclose(f);
    return kib * 1024;
}

static uint64_t measure_cow(struct shm_child *p)
{
    uint64_t bytes = private_dirty_bytes();
    atomic_store_explicit(&p->cow_bytes, bytes, memory_order_relaxed);
    if (bytes > atomic_load_explicit(&p->cow_peak_bytes, memory_order_relaxed))
        atomic_store_explicit(&p->cow_peak_bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&p->cow_measured_us, clock_monotonic_us(), memory_order_relaxed);
    return bytes;
}

static const char *title_of(enum child_purpose purpose)
{
    if (purpose & CHILD_FULL_SYNC) return "redis-rdb-to-slaves";
    return purpose & CHILD_AOF_REWRITE ? "redis-aof-rewrite" : "redis-rdb-bgsave";
}

static void log_cow(enum child_purpose purpose, uint64_t cow_bytes)
{
    log_notice("Fork CoW for %s: current %llu MB", purpose == CHILD_AOF_REWRITE ? "AOF rewrite" : "RDB",
               (unsigned long long)(cow_bytes >> 20));
}

/* The exit code: what has failed, a bit for each job. */
static int run_jobs(struct children *c)
{
    int failed = 0;
    for (int i = 0; i < c->job_count; i++)
        if (c->jobs[i].body(c->jobs[i].arg) != 0) failed |= 1 << i;
    return failed;
}

_Noreturn static void run_child(struct children *c, pid_t server)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != server) _exit(255);
    signal(SIGUSR1, SIG_DFL); /* it is not needed any more: it ends at once, wherever it is */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* Ctrl-C is for the server, which decides about its child */
    log_set_role('C');
    crash_set_role("snapshot child");
    enum child_purpose purpose = children_running(c);
    process_title_set(c->core, title_of(purpose));
    oom_score_apply_in_child(c->core);
    bool rewrites = purpose & CHILD_AOF_REWRITE;
    if (cpu_affinity_enter(rewrites ? CPU_REWRITE : CPU_SNAPSHOT))
        log_warning("%s has no effect: %s", rewrites ? "aof_rewrite_cpulist" : "bgsave_cpulist", strerror(errno));
    loop_abandon_in_child(c->core->loop);
    int failed = run_jobs(c);
    uint64_t cow_bytes = measure_cow(c->progress);
    if (!failed) log_cow(purpose, cow_bytes);
    _exit(failed);
}

void child_leave_file(struct children *c, int fd)
{
    c->left_fd = dup(fd);
}

int child_left_file(const struct children *c)
{
    return c->left_fd;
}

/* The kernel counts pages for it: at most once a second, and for no more than a hundredth of the child's time. */
static void report_cow(struct children *c)
{
    int64_t now_us = clock_monotonic_us(), pause_us = 100 * c->cow_cost_us;
    int64_t since_us = now_us - atomic_load_explicit(&c->progress->cow_measured_us, memory_order_relaxed);
    if (since_us < (pause_us > 1000000 ? pause_us : 1000000)) return;
    measure_cow(c->progress);
    c->cow_cost_us = clock_monotonic_us() - now_us;
}

void child_report_keys(struct children *c, uint64_t keys_done)
{
    atomic_store_explicit(&c->progress->keys_done, keys_done, memory_order_relaxed);
    report_cow(c);
}

/* --- who decides about its work --- */

static bool decide(struct children *c, enum shm_decision decision)
{
    uint32_t undecided = DECISION_NONE;
    return atomic_compare_exchange_strong(&c->progress->decision, &undecided, decision);
}

bool child_may_publish(struct children *c)
{
    return decide(c, DECISION_PUBLISHED);
}

bool children_withdraw(struct children *c)
{
    return decide(c, DECISION_WITHDRAWN);
}

/* --- in the server --- */

static void pidfd_ready(void *arg, int events)
{
    (void)events;
    children_reap(arg);
}

static void watch_child(struct children *c)
{
    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    if (c->pidfd >= 0) c->watch = loop_watch_start(c->core->loop, c->pidfd, LOOP_READABLE, pidfd_ready, c);
}

/* Nobody else has the page before the fork. */
static void begin_progress(struct children *c)
{
    uint64_t keys = 0;
    for (int i = 0; i < keyspace_databases(c->core->keyspace); i++)
        keys += database_size(keyspace_database(c->core->keyspace, i));
    memset(c->progress, 0, sizeof *c->progress);
    c->progress->keys_total = keys;
}

static void note_fork(struct core *core, int64_t took_us)
{
    core->stats->latest_fork_us = (uint64_t)took_us;
    core->stats->latest_fork_bytes = mem_used();
    core->stats->total_forks++;
    latency_note(core->latency, LATENCY_FORK, took_us, clock_wall_us() / 1000000);
}

static void board(struct children *c, const struct child_job *job)
{
    const struct child_companion *companion = &c->companion;
    c->jobs[c->job_count++] = *job;
    if (job->takes_along && companion->waits && companion->waits(companion->job.arg))
        c->jobs[c->job_count++] = companion->job;
}

int children_start(struct children *c, const struct child_job *job)
{
    if (c->job_count || is_busy(c->core->busy)) { /* no snapshot from the middle of a script */
        errno = EBUSY;
        return -1;
    }
    begin_progress(c);
    board(c, job);
    pid_t server = getpid();
    int64_t before_us = clock_monotonic_us();
    pid_t pid = fork();
    if (pid < 0) {
        c->job_count = 0;
        return -1;
    }
    if (pid == 0) run_child(c, server);
    note_fork(c->core, clock_monotonic_us() - before_us);
    c->pid = pid;
    c->dismissed = CHILD_NONE;
    c->started_ms = clock_monotonic_ms();
    keyspace_set_snapshot_running(c->core->keyspace, true);
    watch_child(c);
    if (c->job_count > 1) c->companion.joined(c->companion.job.arg);
    return 0;
}

void children_set_companion(struct children *c, const struct child_companion *companion)
{
    c->companion = *companion;
}

void children_expect(struct children *c, bool coming)
{
    c->expected = coming;
}

bool children_are_expected(const struct children *c)
{
    return c->expected;
}

enum child_purpose children_running(const struct children *c)
{
    unsigned purposes = CHILD_NONE;
    for (int i = 0; i < c->job_count; i++) purposes |= c->jobs[i].purpose;
    return purposes;
}

pid_t children_pid(const struct children *c)
{
    return c->job_count ? c->pid : -1;
}

int64_t children_started_ms(const struct children *c)
{
    return c->started_ms;
}

void children_dismiss(struct children *c, enum child_purpose purposes)
{
    enum child_purpose running = children_running(c);
    c->dismissed |= purposes & running;
    if (running && !(running & ~c->dismissed)) kill(c->pid, SIGUSR1);
}

static void note_figures(struct children *c)
{
    enum child_purpose purpose = children_running(c);
    if (purpose & CHILD_AOF_REWRITE) c->last_aof_cow_bytes = c->progress->cow_bytes;
    if (!(purpose & (CHILD_SAVE | CHILD_FULL_SYNC))) return;
    c->last_rdb_cow_bytes = c->progress->cow_bytes;
    c->last_rdb_s = (clock_monotonic_ms() - c->started_ms) / 1000;
}

/* Its wait status; -1: it still runs. One that was reaped by somebody else has ended in a way that nobody knows, which
 * is no good one. */
static int status_of(pid_t pid, int wait_options)
{
    int status;
    pid_t got;
    do got = waitpid(pid, &status, wait_options);
    while (got < 0 && errno == EINTR);
    return got == pid ? status : got == 0 ? -1 : W_EXITCODE(255, 0);
}

static void reap(struct children *c, int wait_options)
{
    if (!c->job_count) return;
    int status = status_of(c->pid, wait_options);
    if (status < 0) return;
    if (c->watch) loop_watch_stop(c->watch);
    if (c->pidfd >= 0) close(c->pidfd);
    c->watch = NULL;
    c->pidfd = -1;
    note_figures(c);
    keyspace_set_snapshot_running(c->core->keyspace, false);
    struct child_job jobs[JOBS_MAX]; /* who hears of the end may start another child */
    int job_count = c->job_count;
    unsigned dismissed = c->dismissed;
    memcpy(jobs, c->jobs, sizeof jobs);
    c->job_count = 0;
    for (int i = 0; i < job_count; i++) {
        bool unwanted = dismissed & jobs[i].purpose;
        bool good = !unwanted && WIFEXITED(status) && !(WEXITSTATUS(status) & 1 << i);
        jobs[i].ended(jobs[i].arg, good, unwanted ? SIGUSR1 : WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
}

void children_reap(struct children *c)
{
    reap(c, WNOHANG);
}

void children_end(struct children *c)
{
    children_dismiss(c, children_running(c));
    reap(c, 0);
}

void children_await(struct children *c)
{
    reap(c, 0);
}

const struct shm_child *children_progress(const struct children *c)
{
    return c->progress;
}

uint64_t children_last_rdb_cow_bytes(const struct children *c)
{
    return c->last_rdb_cow_bytes;
}

uint64_t children_last_aof_cow_bytes(const struct children *c)
{
    return c->last_aof_cow_bytes;
}

int64_t children_last_rdb_s(const struct children *c)
{
    return c->last_rdb_s;
}
