/* Starting a process of another role, and its beginning. Server process, link process and journal process. */
#include "server/net/role_process.h"

#include "server/base/cpu_affinity.h"
#include "server/base/crash.h"
#include "server/base/log.h"
#include "server/net/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define RUNNING_IMAGE "/proc/self/exe" /* whatever has become of the file */

/* argv of the new process */
enum { NAME, ARGUMENT, PROTOCOL, ENGINE, LOG_LEVEL, LOG_PATH, CRASH_REPORT, ARGUMENTS };

#define REPORTS_CRASHES  "crash-report"
#define REPORTS_NO_CRASH "no-crash-report"

extern char **environ;

/* --- the server's side --- */

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

/* 0, or an error number as posix_spawn returns it. */
static int spawn(const char *executable, char **argv, int channel_fd, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, channel_fd, ROLE_CHANNEL_FD);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    cpu_set_t own_place;
    cpu_affinity_leave(&own_place);
    int error = posix_spawn(pid, RUNNING_IMAGE, &files, &attributes, argv, environ);
    if (error == ENOENT) error = posix_spawn(pid, executable, &files, &attributes, argv, environ);
    cpu_affinity_return(&own_place);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

int role_process_start(const struct role *role, struct loop *loop, const char *executable, pid_t *pid, int *channel_fd)
{
    char level[16];
    int pair[2];
    snprintf(level, sizeof(level), "%d", (int)log_get_level());
    char *argv[] = {[NAME] = text(role->name),
                    [ARGUMENT] = text(role->argument),
                    [PROTOCOL] = text(role->protocol),
                    [ENGINE] = text(loop_engine_name(loop)),
                    [LOG_LEVEL] = level,
                    [LOG_PATH] = text(log_path()),
                    [CRASH_REPORT] = text(crash_is_enabled() ? REPORTS_CRASHES : REPORTS_NO_CRASH),
                    [ARGUMENTS] = NULL};
    if (fdpass_pair(pair) != 0) return -1;
    int error = spawn(executable, argv, pair[1], pid);
    close(pair[1]);
    *channel_fd = pair[0];
    if (!error) return 0;
    close(pair[0]);
    *pid = 0;
    errno = error;
    return -1;
}

/* --- the new process --- */

/* A signal to the whole process group (Ctrl-C) is the server's to act on: it may have work left for us. */
static void set_signals(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of the write */
}

static struct loop *make_loop(const struct role *role, const char *engine, unsigned hint)
{
    struct loop_settings settings = {.engine = LOOP_ENGINE_AUTO, .max_connections_hint = hint};
    if (strcmp(engine, "epoll") == 0) settings.engine = LOOP_ENGINE_EPOLL;
    struct loop *loop = loop_new(&settings);
    if (!loop) log_warning("The %s ends: no event loop can be made: %s", role->title, strerror(errno));
    return loop;
}

struct loop *role_process_begin(const struct role *role, int argc, char **argv, unsigned max_connections_hint)
{
    if (argc < ARGUMENTS) return NULL;
    prctl(PR_SET_NAME, role->name);
    set_signals();
    log_open(argv[LOG_PATH], (enum log_level)atoi(argv[LOG_LEVEL]));
    log_set_role(role->log_letter);
    /* A server that was started from another version of our files is not ours to serve. */
    if (strcmp(argv[PROTOCOL], role->protocol) != 0) {
        log_warning("The %s ends: its server is of another version (it speaks %s, we %s)", role->title, argv[PROTOCOL],
                    role->protocol);
        return NULL;
    }
    crash_set_role(role->title);
    crash_set_enabled(strcmp(argv[CRASH_REPORT], REPORTS_NO_CRASH) != 0);
    return make_loop(role, argv[ENGINE], max_connections_hint);
}
