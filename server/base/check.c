/* The end of a process that found its own state broken: a report in the words of Redis's, then abort.
 *
 * Crash collectors look for those words. Nothing here allocates: the heap may be what is broken. */
#include "server/base/check.h"

#include <execinfo.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/base/log.h"

#define BACKTRACE_DEPTH 64

static void write_backtrace(void)
{
    void *frames[BACKTRACE_DEPTH];
    int depth = backtrace(frames, BACKTRACE_DEPTH);
    const char *path = log_path();
    int fd = *path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : STDOUT_FILENO;
    if (fd < 0) return;
    backtrace_symbols_fd(frames, depth, fd);
    if (fd != STDOUT_FILENO) close(fd);
}

void check_failed(const char *expression, const char *file, int line)
{
    log_warning("=== REDIS BUG REPORT START: Cut & paste starting from here ===");
    log_warning("=== ASSERTION FAILED ===");
    log_warning("==> %s:%d '%s' is not true", file, line, expression);
    log_warning("------ STACK TRACE ------");
    write_backtrace();
    log_warning("=== REDIS BUG REPORT END. Make sure to include from START to END. ===");
    abort();
}
