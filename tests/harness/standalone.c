/* The harness in a program without Criterion: a failure is said and ends it with 1. What its servers left behind is
 * removed when all went well, or the program was interrupted or killed; otherwise their directories are kept.
 *
 * A process of its own removes it, as soon as the program has ended in whatever way: a pipe tells it so. */
#include "tests/harness/directory.h"
#include "tests/harness/fail.h"
#include "tests/harness/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[256];
static bool failed;

static pid_t program, cleaner;
static int alive; /* the pipe's end that only the program holds */

static _Noreturn void clean_up_after(int ended)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    char keep = 0;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
    if (chdir("/") < 0) _exit(1);
    while (read(ended, &keep, 1) < 0 && errno == EINTR) continue;
    server_sweep(root);
    if (!keep) directory_remove(root);
    _exit(0);
}

/* At an orderly end the caller waits until all is gone. */
static void end_alive(void)
{
    if (getpid() != program) return; /* a child that did not become another program */
    if (failed) {
        fprintf(stderr, "the servers' directories are kept in %s\n", root);
        if (write(alive, "k", 1) < 0) perror("cannot keep them");
    }
    close(alive);
    waitpid(cleaner, NULL, 0);
}

static void start_cleaner(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) harness_fail("no pipe: %s", strerror(errno));
    program = getpid();
    alive = ends[1];
    cleaner = fork();
    if (cleaner < 0) harness_fail("no process to clean up: %s", strerror(errno));
    if (cleaner == 0) {
        close_range(STDERR_FILENO + 1, (unsigned)ends[0] - 1, 0);
        close_range((unsigned)ends[0] + 1, ~0U, 0);
        clean_up_after(ends[0]);
    }
    close(ends[0]);
    atexit(end_alive);
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
        start_cleaner();
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
