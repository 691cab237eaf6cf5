/* The background threads: one a kind of job, started when the first such job comes. Server process.
 *
 * Finished jobs go to one list, and an eventfd wakes the loop, which runs their `done`. Threads do not survive a fork,
 * and locks may be held at that moment: a forked child starts with fresh, empty queues and no event descriptor. */
#include "server/base/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/cpu_affinity.h"
#include "server/base/crash.h"

#define TURN_US 100 /* the least that is allowed */

struct job_list {
    struct worker_job *first, *last;
};

struct worker_queue {
    pthread_mutex_t lock;
    pthread_cond_t has_job, idle;
    struct job_list jobs;
    size_t pending; /* queued and running */
    bool started;
};

static struct worker_queue queues[WORKER_KINDS];
static pthread_mutex_t finished_lock;
static struct job_list finished;
static int event_fd = -1;

static void push(struct job_list *l, struct worker_job *job)
{
    job->next = NULL;
    if (l->last) {
        l->last->next = job;
    } else {
        l->first = job;
    }
    l->last = job;
}

static struct worker_job *pop(struct job_list *l)
{
    struct worker_job *job = l->first;
    l->first = job->next;
    if (!l->first) l->last = NULL;
    return job;
}

static void reset_queues(void)
{
    for (int i = 0; i < WORKER_KINDS; i++) {
        queues[i] = (struct worker_queue){0};
        pthread_mutex_init(&queues[i].lock, NULL);
        pthread_cond_init(&queues[i].has_job, NULL);
        pthread_cond_init(&queues[i].idle, NULL);
    }
    pthread_mutex_init(&finished_lock, NULL);
    finished = (struct job_list){0};
    event_fd = -1;
}

int workers_start(void)
{
    static bool watching_forks;
    if (event_fd >= 0) return event_fd;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) return -1;
    if (!watching_forks) CHECK(pthread_atfork(NULL, NULL, reset_queues) == 0);
    watching_forks = true;
    reset_queues();
    event_fd = fd;
    return fd;
}

static void hand_to_loop(struct worker_job *job)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&finished_lock);
    push(&finished, job);
    pthread_mutex_unlock(&finished_lock);
    ssize_t wrote = write(event_fd, &one, sizeof(one));
    CHECK(wrote == sizeof(one) || errno == EAGAIN); /* EAGAIN: the counter is full, so the loop has been woken */
}

/* Once a thread has the processor, Linux lets it finish a turn of some milliseconds even when the loop wakes up and
 * wants it. Since 6.12 a thread may ask for shorter turns; to older kernels this says nothing. The structure is the
 * system call's first version, sched_setattr(2), which glibc has only of late. */
static void take_short_turns(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t turn_ns, deadline_ns, period_ns;
    } mine = {.size = sizeof(mine), .nice = getpriority(PRIO_PROCESS, 0), .turn_ns = TURN_US * 1000};
    syscall(SYS_sched_setattr, 0, &mine, 0);
}

static _Noreturn void *work(void *argument)
{
    struct worker_queue *q = argument;
    crash_catch_signals_of_thread();
    cpu_affinity_enter(CPU_WORKER); /* said at the start, if it cannot be */
    take_short_turns();
    pthread_mutex_lock(&q->lock);
    for (;;) {
        while (!q->jobs.first) pthread_cond_wait(&q->has_job, &q->lock);
        struct worker_job *job = pop(&q->jobs);
        pthread_mutex_unlock(&q->lock);
        bool has_done = job->done != NULL; /* without it `run` frees the job */
        job->run(job);
        if (has_done) hand_to_loop(job);
        pthread_mutex_lock(&q->lock);
        if (--q->pending == 0) pthread_cond_broadcast(&q->idle);
    }
}

/* Signals are the loop's: a worker thread takes none but those of its own faults. */
static void start_thread(struct worker_queue *q, enum worker_kind kind)
{
    static const char *const names[WORKER_KINDS] = {"worker-fsync", "worker-free", "worker-resolve", "worker-close",
                                                    "worker-write"};
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    CHECK(pthread_create(&thread, NULL, work, q) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_setname_np(thread, names[kind]);
    pthread_detach(thread);
    q->started = true;
}

bool workers_are_there(void)
{
    return event_fd >= 0;
}

void workers_submit(enum worker_kind kind, struct worker_job *job)
{
    struct worker_queue *q = &queues[kind];
    CHECK(event_fd >= 0);
    pthread_mutex_lock(&q->lock);
    push(&q->jobs, job);
    q->pending++;
    if (!q->started) start_thread(q, kind);
    pthread_cond_signal(&q->has_job);
    pthread_mutex_unlock(&q->lock);
}

void workers_collect(void)
{
    uint64_t wakeups;
    ssize_t got = read(event_fd, &wakeups, sizeof(wakeups)); /* before the list is taken, so that no wake-up is lost */
    CHECK(got == sizeof(wakeups) || errno == EAGAIN);
    pthread_mutex_lock(&finished_lock);
    struct job_list ready = finished;
    finished = (struct job_list){0};
    pthread_mutex_unlock(&finished_lock);
    while (ready.first) {
        struct worker_job *job = pop(&ready);
        job->done(job);
    }
}

size_t workers_pending(enum worker_kind kind)
{
    struct worker_queue *q = &queues[kind];
    pthread_mutex_lock(&q->lock);
    size_t pending = q->pending;
    pthread_mutex_unlock(&q->lock);
    return pending;
}

void workers_drain(enum worker_kind kind)
{
    struct worker_queue *q = &queues[kind];
    pthread_mutex_lock(&q->lock);
    while (q->pending > 0) pthread_cond_wait(&q->idle, &q->lock);
    pthread_mutex_unlock(&q->lock);
}
