/* The harness's ties to Criterion. Each test runs in a process of its own; its servers' directories stand under one
 * root that the runner makes. When a test has ended, the runner kills what is left of its processes, and removes its
 * directory if it passed, or prints the tails of its logs if it did not, however it ended: failed, crashed, or out of
 * time. */
#include "tests/harness/directory.h"
#include "tests/harness/fail.h"
#include "tests/harness/server.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOT_VARIABLE "SLIPSTREAM_TEST_ROOT"

void harness_fail_at(const char *file, int line, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    cr_assert_fail("%s:%d: %s", file, line, message);
    abort();
}

const char *harness_root(void)
{
    return getenv(ROOT_VARIABLE);
}

static void case_name(const struct criterion_test *test, char *out, size_t size)
{
    snprintf(out, size, "%s.%s", test->category, test->name);
}

const char *harness_case(void)
{
    static char name[100];
    case_name(criterion_current_test, name, sizeof name);
    return name;
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    const char *temporary = getenv("TMPDIR");
    char root[100];
    snprintf(root, sizeof root, "%.60s/slipstream-test.XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(root)) abort();
    setenv(ROOT_VARIABLE, root, 1);
}

static int print_log(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    if (type == FTW_F && strcmp(path + where->base, "log") == 0) server_print_log_tail(path);
    return 0;
}

ReportHook(POST_TEST)(struct criterion_test_stats *stats)
{
    char name[100], dir[300];
    case_name(stats->test, name, sizeof name);
    snprintf(dir, sizeof dir, "%s/%s", harness_root(), name);
    if (access(dir, F_OK) < 0) return;
    server_sweep(dir);
    bool passed = stats->test_status == CR_STATUS_PASSED || stats->test_status == CR_STATUS_SKIPPED;
    if (passed) {
        directory_remove(dir);
        return;
    }
    fprintf(stderr, "%s did not pass; its servers' directories are kept in %s\n", name, dir);
    nftw(dir, print_log, 16, FTW_PHYS);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    rmdir(harness_root()); /* stays if something in it stayed */
}
