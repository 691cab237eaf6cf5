/* The server process and its surroundings. A signal handler only rings an eventfd: the loop does the rest. */
#include "server/core/process/process.h"

#include "rdb/snapshot.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/random.h"
#include "server/core/core.h"
#include "server/core/process/shutdown.h"
#include "server/core/session/busy.h"
#include "server/core/settings.h"
#include "server/net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define RESERVED_DESCRIPTORS 32 /* log, files, listeners, link, bells */

void process_identify(struct lifecycle *l, int argc, char **argv)
{
    random_hex(l->run_id, 40);
    l->argc = argc;
    l->argv = argv;
    l->started_wall_s = clock_wall_ms() / 1000;
    l->started_monotonic_us = clock_monotonic_us();
    if (!getcwd(l->start_directory, sizeof l->start_directory)) snprintf(l->start_directory, 2, "/");
    ssize_t len = readlink("/proc/self/exe", l->executable, sizeof l->executable - 1);
    if (len < 0) snprintf(l->executable, sizeof l->executable, "%s", argv[0]);
}

void process_note_config_file(struct lifecycle *l, const char *path)
{
    char absolute[PATH_MAX];
    if (realpath(path, absolute)) snprintf(l->config_file, sizeof l->config_file, "%s", absolute);
}

void process_daemonize(void)
{
    pid_t pid = fork();
    if (pid != 0) _exit(pid < 0);
    setsid();
    int fd = open("/dev/null", O_RDWR);
    if (fd < 0) return;
    dup2(fd, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (fd > STDERR_FILENO) close(fd);
}

void process_raise_descriptor_limit(unsigned *max_clients)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)*max_clients + RESERVED_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    if (limit.rlim_cur >= wanted) return;
    rlim_t had = limit.rlim_cur;
    struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised)) {
        raised = (struct rlimit){limit.rlim_max < wanted ? limit.rlim_max : wanted, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised)) raised.rlim_cur = had;
    }
    if (raised.rlim_cur >= wanted) {
        log_notice("Increased maximum number of open files to %llu (it was originally set to %llu).",
                   (unsigned long long)wanted, (unsigned long long)had);
        return;
    }
    unsigned asked = *max_clients;
    *max_clients = raised.rlim_cur > RESERVED_DESCRIPTORS ? (unsigned)(raised.rlim_cur - RESERVED_DESCRIPTORS) : 1;
    log_warning("You requested maxclients of %u requiring at least %llu max file descriptors.", asked,
                (unsigned long long)wanted);
    log_warning(
        "Current maximum open files is %llu. maxclients has been reduced to %u to compensate for low ulimit. If "
        "you need higher maxclients increase 'ulimit -n'.",
        (unsigned long long)raised.rlim_cur, *max_clients);
}

/* --- signals --- */

static volatile sig_atomic_t ended_by;
static int signal_bell = -1;               /* -1: there is no loop yet, and nothing that would have to be saved */
static char unfinished_snapshot[PATH_MAX]; /* what a SAVE at the end may be writing */

/* Of all dispositions, an exec hands on only that a signal is ignored; handlers there are (a sanitizer's) are ours. */
void process_reset_signals(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL}, inherited;
    sigset_t none;
    for (int signal = 1; signal < NSIG; signal++)
        if (sigaction(signal, NULL, &inherited) == 0 && inherited.sa_handler == SIG_IGN)
            sigaction(signal, &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void end_asked(int signal)
{
    int saved = errno;
    if (signal_bell < 0) _exit(128 + signal);     /* as a shell would report it */
    if (ended_by == SIGINT && signal == SIGINT) { /* a second Ctrl-C means: now */
        unlink(unfinished_snapshot);
        _exit(1);
    }
    ended_by = signal;
    uint64_t one = 1;
    ssize_t ignored = write(signal_bell, &one, sizeof one);
    (void)ignored;
    errno = saved;
}

static void signal_arrived(void *arg, int events)
{
    struct core *core = arg;
    uint64_t count;
    (void)events;
    if (is_busy(core->busy)) return; /* it rings on */
    if (read(signal_bell, &count, sizeof count) != sizeof count || !ended_by) return;
    const struct server_settings *server = &core->settings->server;
    bool interrupt = ended_by == SIGINT;
    log_warning(interrupt ? "Received SIGINT scheduling shutdown..." : "Received SIGTERM scheduling shutdown...");
    shutdown_begin(core, interrupt ? server->shutdown_on_sigint : server->shutdown_on_sigterm, NULL);
    ended_by = 0;
}

void process_end_at_signals(void)
{
    struct sigaction action = {.sa_handler = end_asked};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

void process_catch_signals(struct core *core)
{
    if (rdb_temporary_path(core->settings->rdb.filename, getpid(), unfinished_snapshot)) unfinished_snapshot[0] = 0;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (signal_bell < 0) {
        log_warning("SIGTERM and SIGINT will end the server without a last save: eventfd: %s", strerror(errno));
        return;
    }
    loop_watch_start(core->loop, signal_bell, LOOP_READABLE, signal_arrived, core);
}

void process_write_pidfile(struct lifecycle *l, const char *path)
{
    snprintf(l->pidfile, sizeof l->pidfile, "%s", path && *path ? path : "/var/run/redis.pid");
    FILE *f = fopen(l->pidfile, "we");
    if (!f) {
        log_warning("Failed to write PID file: %s", strerror(errno));
        l->pidfile[0] = 0;
        return;
    }
    fprintf(f, "%d\n", (int)getpid());
    fclose(f);
}
