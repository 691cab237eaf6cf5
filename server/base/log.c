/* The log, one for each process. A line is put together on the stack and leaves in one write, so that lines of several
 * processes which append to one file never mix. The file is opened for each line: it may have been rotated away
 * meanwhile. Any process. */
#include "server/base/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "server/base/file.h"
#include "server/base/syslog.h"

#define LINE_MAX_BYTES 4096
#define PATH_MAX_BYTES 4096

static char log_file[PATH_MAX_BYTES];
static enum log_level least_level = LOG_NOTICE;
static char log_role = 'M';
static bool to_syslog;

void log_open(const char *path, enum log_level least)
{
    snprintf(log_file, sizeof(log_file), "%s", path ? path : "");
    least_level = least;
}

void log_set_level(enum log_level least)
{
    least_level = least;
}

enum log_level log_get_level(void)
{
    return least_level;
}

void log_set_role(char role)
{
    log_role = role;
}

void log_set_syslog(int enabled, const char *ident, const char *facility)
{
    to_syslog = enabled;
    if (enabled) syslog_open(ident, facility);
}

const char *log_path(void)
{
    return log_file;
}

/* `<pid>:<role> <DD Mon YYYY HH:MM:SS.mmm> <mark> `; returns the length. */
static size_t format_head(char *out, size_t capacity, enum log_level level)
{
    struct timeval now;
    struct tm local;
    char date[32];
    gettimeofday(&now, NULL);
    localtime_r(&now.tv_sec, &local);
    strftime(date, sizeof(date), "%d %b %Y %H:%M:%S", &local);
    return (size_t)snprintf(out, capacity, "%d:%c %s.%03d %c ", (int)getpid(), log_role, date,
                            (int)(now.tv_usec / 1000), ".-*#"[level]);
}

static void write_line(const char *line, size_t len)
{
    int fd = *log_file ? open(log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : STDOUT_FILENO;
    if (fd < 0) return;
    file_write_all(fd, line, len);
    if (fd != STDOUT_FILENO) close(fd);
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level < least_level) return;
    char line[LINE_MAX_BYTES];
    size_t head = format_head(line, sizeof(line), level);
    size_t room = sizeof(line) - head - 1; /* the line end comes last */
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line + head, room, format, args);
    va_end(args);
    if (wanted < 0) return;
    size_t message = (size_t)wanted < room ? (size_t)wanted : room - 1;
    if (to_syslog) syslog_send(level, line + head);
    line[head + message] = '\n';
    write_line(line, head + message + 1);
}
