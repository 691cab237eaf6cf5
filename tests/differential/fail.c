/* The harness's way out of the driver: say it and end with 1. What the servers left behind is removed when all went
 * well, and kept when it did not. */
#include "tests/harness/directory.h"
#include "tests/harness/fail.h"
#include "tests/harness/process.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static char root[256];
static int failed;

static void clean_up(void)
{
    process_kill_all_in(root);
    if (failed)
        fprintf(stderr, "the servers' directories are kept in %s\n", root);
    else
        directory_remove(root);
}

const char *harness_root(void)
{
    if (!root[0]) {
        const char *temporary = getenv("TMPDIR");
        snprintf(root, sizeof root, "%.200s/slipstream-differential.XXXXXX", temporary ? temporary : "/tmp");
        if (!mkdtemp(root)) {
            perror(root);
            exit(1);
        }
        atexit(clean_up);
    }
    return root;
}

const char *harness_case(void)
{
    return "differential";
}

void harness_fail_at(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    failed = 1;
    exit(1);
}
