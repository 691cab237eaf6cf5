/* Crash reports of processes that are worse off than a server can be made to be: each dies in a child of the test. */
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/crash.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/base/workers.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAULT_ADDRESS       16
#define NOT_THE_LAST_WORD() __asm__ volatile("") /* the call before it is one, and no jump */

TestSuite(crash_report, .timeout = 120);

static char *report; /* of the last child */

/* The child's wait status; what it had to say is in `report`. */
static int die(void (*how)(void))
{
    char path[] = "/tmp/crash-report.XXXXXX";
    int fd = mkstemp(path), status;
    size_t len;
    cr_assert_geq(fd, 0);
    close(fd);
    pid_t pid = fork();
    if (pid == 0) {
        log_open(path, LOG_NOTICE);
        crash_catch_signals("The test");
        crash_set_role("victim");
        how();
        _exit(99);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(file_read_whole(path, (uint8_t **)&report, &len), 0);
    unlink(path);
    return status;
}

static void expect_death(void (*how)(void), int signal)
{
    int status = die(how);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == signal, "wait status %d: %s", status, report);
}

static void expect_text(const char *text)
{
    cr_assert(strstr(report, text), "no '%s' in: %s", text, report);
}

__attribute__((noinline)) static void fault(void)
{
    int *volatile nowhere = (int *)FAULT_ADDRESS;
    *nowhere = 1;
}

/* --- places --- */

__attribute__((noinline)) static int overflow(volatile char *above)
{
    volatile char room[4096];
    room[0] = above ? above[0] : 0;
    return room[0] == 1 ? 0 : overflow(room) + room[0];
}

static void overflow_the_stack(void)
{
    overflow(NULL);
}

Test(crash_report, stack_overflow)
{
    expect_death(overflow_the_stack, SIGSEGV);
    expect_text("The test crashed by signal: 11");
    expect_text("This is the victim");
    expect_text("(overflow");
    expect_text("REPORT END");
}

__attribute__((noinline)) static void call_wildly(void)
{
    void (*volatile wild)(void) = (void (*)(void))FAULT_ADDRESS;
    wild();
    NOT_THE_LAST_WORD();
}

Test(crash_report, wild_call)
{
    expect_death(call_wildly, SIGSEGV);
    expect_text("Crashed running the instruction at: 0x10\n");
    expect_text("(call_wildly+");
    expect_text("REPORT END");
}

/* A return address behind the last call is its own function's all the same. */
__attribute__((noinline)) static void fail_a_check(void)
{
    CHECK(report == (char *)-1);
}

Test(crash_report, failed_check)
{
    expect_death(fail_a_check, SIGABRT);
    expect_text("ASSERTION FAILED");
    expect_text("(fail_a_check+");
    expect_text("REPORT END");
}

/* --- sections --- */

static void write_good(void *arg)
{
    crash_print("good: %s\n", (const char *)arg);
}

static void write_badly(void *arg)
{
    (void)arg;
    crash_print("begins\n");
    fault();
}

static void write_after_a_failed_check(void *arg)
{
    (void)arg;
    CHECK(arg);
}

static void write_for_ever(void *arg)
{
    (void)arg;
    for (;;) pause();
}

static void add(const char *title, void (*write)(void *arg), void *arg)
{
    crash_add_section(&(struct crash_section){.title = title, .write = write, .arg = arg});
}

static void fault_with_faulty_sections(void)
{
    add("FIRST", write_good, (void *)"one");
    add("SECOND", write_badly, NULL);
    add("THIRD", write_after_a_failed_check, NULL);
    add("FOURTH", write_good, (void *)"four");
    fault();
}

Test(crash_report, a_section_that_faults_is_given_up)
{
    expect_death(fault_with_faulty_sections, SIGSEGV);
    expect_text("------ FIRST ------\ngood: one\n");
    expect_text("------ SECOND ------\nbegins\n\n(given up: it met a fault of its own)\n");
    expect_text("------ THIRD ------\n\n(given up");
    expect_text("good: four");
    expect_text("REPORT END");
}

static void fail_with_a_hanging_section(void)
{
    add("FIRST", write_for_ever, NULL);
    add("SECOND", write_good, NULL);
    fail_a_check();
}

Test(crash_report, a_section_that_hangs_is_given_up_and_the_rest_left_out)
{
    expect_death(fail_with_a_hanging_section, SIGABRT);
    expect_text("(given up: it took too long)");
    expect_text("------ SECOND ------\n(left out)\n");
    expect_text("REPORT END");
}

/* --- threads --- */

static void run_and_fault(struct worker_job *job)
{
    (void)job;
    fault();
    NOT_THE_LAST_WORD();
}

static volatile bool moving;

static void watch_the_other(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000 && moving; i++) { /* it stops within a moment */
        moving = false;
        usleep(1000);
    }
    crash_print("the other one %s\n", moving ? "goes on" : "stands still");
}

static void fault_in_a_worker(void)
{
    static struct worker_job job = {.run = run_and_fault};
    add("OTHERS", watch_the_other, NULL);
    workers_start();
    workers_submit(WORKER_FREE, &job);
    for (;;) moving = true;
}

Test(crash_report, a_workers_fault_stops_everybody)
{
    expect_death(fault_in_a_worker, SIGSEGV);
    expect_text("thread worker-free");
    expect_text("(run_and_fault+");
    expect_text("the other one stands still");
    expect_text("REPORT END");
}

/* --- settings --- */

static void fault_without_a_report(void)
{
    crash_set_enabled(false);
    fault();
}

Test(crash_report, disabled)
{
    expect_death(fault_without_a_report, SIGSEGV);
    cr_assert_str_empty(report);
}

static void exit_on_panic(void)
{
    crash_set_exit_on_panic(true);
    PANIC("as %s", "asked");
}

Test(crash_report, exit_instead_of_abort)
{
    int status = die(exit_on_panic);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    expect_text("Guru Meditation: as asked #");
    expect_text("REPORT END");
}
