/* The harness's way out when there is no test to fail: say it and end. Everything the run started and wrote goes with
 * it. */
#include "tests/harness/directory.h"
#include "tests/harness/fail.h"
#include "tests/harness/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static char root[256];

static void clean_up(void)
{
    server_sweep(root);
    directory_remove(root);
}

const char *harness_root(void)
{
    if (!root[0]) {
        const char *temporary = getenv("TMPDIR");
        snprintf(root, sizeof root, "%.200s/slipstream-bench.XXXXXX", temporary ? temporary : "/tmp");
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
    return "bench";
}

void harness_fail_at(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}
