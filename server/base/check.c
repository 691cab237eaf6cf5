/* The end of a process that found its own state broken: what it found, in the middle of a crash report. Any process. */
#include "server/base/check.h"

#include "server/base/crash.h"
#include "server/base/log.h"

#include <stdarg.h>
#include <stdio.h>

void check_failed(const char *expression, const char *file, int line)
{
    crash_begin();
    log_warning("=== ASSERTION FAILED ===");
    log_warning("==> %s:%d '%s' is not true", file, line, expression);
    crash_end();
}

void check_panic(const char *file, int line, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    crash_begin();
    log_warning("------------------------------------------------");
    log_warning("!!! Software Failure. Press left mouse button to continue");
    log_warning("Guru Meditation: %s #%s:%d", message, file, line);
    crash_end();
}
