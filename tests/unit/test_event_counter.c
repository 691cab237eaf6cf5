/* slipstream-bench's counters of a server's work, with an event that every machine has: the time on a processor. */
#include "bench/program/event_counter.h"
#include "tests/unit/test_harness_alone.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORK_NS 20000000

static void *work(void *arg)
{
    struct timespec t = {0};
    while (t.tv_sec == 0 && t.tv_nsec < WORK_NS) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return arg;
}

/* Works in a thread and in a child that it starts when it is told to, and says when it is done. */
static _Noreturn void serve(int orders, int answers)
{
    char byte;
    pthread_t thread;
    if (read(orders, &byte, 1) != 1) _exit(1);
    pthread_create(&thread, NULL, work, NULL);
    pid_t child = fork();
    if (child == 0) {
        work(NULL);
        _exit(0);
    }
    pthread_join(thread, NULL);
    waitpid(child, NULL, 0);
    if (write(answers, &byte, 1) != 1) _exit(1);
    for (;;) pause();
}

Test(event_counter, threads_and_children_of_later_are_counted, .timeout = 60)
{
    int orders[2], answers[2];
    struct event_counter c;
    char byte = 'x';
    cr_assert(pipe(orders) == 0 && pipe(answers) == 0);
    pid_t pid = fork();
    if (pid == 0) serve(orders[0], answers[1]);
    if (event_counter_open(&c, pid, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK) != 0) {
        kill(pid, SIGKILL);
        cr_skip_test("this machine counts no events: %s", strerror(errno));
    }
    cr_expect_gt(c.count, 0);
    uint64_t before = event_counter_read(&c);
    cr_assert_eq(write(orders[1], &byte, 1), 1);
    cr_assert_eq(read(answers[0], &byte, 1), 1);
    cr_expect_geq(event_counter_read(&c) - before, 2 * WORK_NS);
    event_counter_close(&c);
    cr_expect_eq(c.count, 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

Test(event_counter, what_cannot_be_counted_is_an_error)
{
    struct event_counter c;
    cr_expect_eq(event_counter_open(&c, getpid(), PERF_TYPE_SOFTWARE, 1000000), -1);
    cr_expect_neq(errno, 0);
    cr_expect_eq(c.count, 0);
}
