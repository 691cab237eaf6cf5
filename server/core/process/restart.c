/* A server that starts itself again: with its arguments, where it was started. Server process.
 *
 * After an orderly end the same process goes on as the new server, as in Redis. After a crash it does not: what a dead
 * server leaves is known by its process being dead (shm/owner.h), and the point of a crash is that nothing was done
 * first. So a child waits for our end, and becomes the server. */
#include "server/core/process/restart.h"

#include "server/base/log.h"
#include "server/core/config/config.h"
#include "server/core/core.h"
#include "server/core/lifecycle.h"
#include "server/core/process/shutdown.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOKS_EACH_MS 1
#define REAP_MOST_MS  1000 /* for the link and the journal, which end with our descriptors */

static void sleep_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) && errno == EINTR) continue;
}

/* Safe behind a fork of a process with threads. */
static void become_server(const struct lifecycle *l)
{
    if (chdir(l->start_directory)) return;
    execv(l->executable, l->argv);
}

int restart_begin(struct core *core, int64_t delay_ms)
{
    char error[512];
    struct lifecycle *l = core->lifecycle;
    if (access(l->executable, X_OK)) {
        log_warning("Can't restart: this process has no permissions to execute %s", l->executable);
        return -1;
    }
    if (config_file(core->config) && config_rewrite(core->config, false, error)) {
        log_warning("Can't restart: configuration rewrite process failed: %s", error);
        return -1;
    }
    if (shutdown_begin(core, SHUTDOWN_NOW, NULL)) {
        log_warning("Can't restart: error preparing for shutdown");
        return -1;
    }
    l->restarts = true;
    l->restart_delay_ms = delay_ms;
    return 0;
}

void restart_in_place(const struct lifecycle *l)
{
    close_range(STDERR_FILENO + 1, ~0U, 0);
    for (int64_t waited_ms = 0; waited_ms < REAP_MOST_MS && waitpid(-1, NULL, WNOHANG) >= 0; waited_ms += LOOKS_EACH_MS)
        sleep_ms(LOOKS_EACH_MS);
    sleep_ms(l->restart_delay_ms);
    become_server(l);
}

int restart_after_crash(const struct lifecycle *l, int64_t delay_ms)
{
    pid_t server = getpid(), child = access(l->executable, X_OK) ? -1 : fork();
    if (child < 0) {
        log_warning("Can't restart: %s", strerror(errno));
        return -1;
    }
    if (child > 0) {
        log_warning("DEBUG CRASH-AND-RECOVER: this process is killed, and %d takes its place", (int)child);
        kill(server, SIGKILL);
        pause();
    }
    close_range(STDERR_FILENO + 1, ~0U, 0);
    while (getppid() == server) sleep_ms(LOOKS_EACH_MS);
    sleep_ms(delay_ms);
    become_server(l);
    _exit(1);
}
