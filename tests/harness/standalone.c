/* The harness in a program without Criterion: a failure is said and ends it with 1. What its servers left behind is
 * removed when all went well; otherwise their directories are kept. */
#include "tests/harness/directory.h"
#include "tests/harness/fail.h"
#include "tests/harness/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static char root[256];
static bool failed;

static void clean_up(void)
{
    server_sweep(root);
    if (failed)
        fprintf(stderr, "the servers' directories are kept in %s\n", root);
    else
        directory_remove(root);
}

const char *harness_root(void)
{
    if (!root[0]) {
        const char *temporary = getenv("TMPDIR");
        snprintf(root, sizeof root, "%.180s/slipstream-%.40s.XXXXXX", temporary ? temporary : "/tmp", harness_case());
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
    return program_invocation_short_name;
}

void harness_fail_at(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    failed = true;
    exit(1);
}
