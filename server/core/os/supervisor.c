/* Readiness and status for the service manager. Server process.
 *
 * systemd is told by datagrams to the socket that $NOTIFY_SOCKET names (sd_notify(3) describes them), in the words and
 * at the moments of Redis. upstart sees us stop ourselves, once, and continues us. */
#include "server/core/os/supervisor.h"

#include "server/base/log.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SYSTEMD_VARIABLE "NOTIFY_SOCKET"
#define UPSTART_VARIABLE "UPSTART_JOB"
#define PATIENCE_MS      200 /* a manager that does not read may not hold up the loop for longer */

static bool systemd_listens;

/* "/path", or "@name" in the abstract namespace. 0: not an address. */
static socklen_t notify_address(const char *name, struct sockaddr_un *out)
{
    size_t len = strlen(name);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof out->sun_path) return 0;
    memcpy(out->sun_path, name, len);
    bool abstract = name[0] == '@';
    if (abstract) out->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !abstract);
}

static int send_to_systemd(const char *state)
{
    const char *name = getenv(SYSTEMD_VARIABLE);
    struct sockaddr_un address;
    struct timeval patience = {.tv_usec = PATIENCE_MS * 1000};
    socklen_t len = name ? notify_address(name, &address) : 0;
    errno = EINVAL;
    int fd = len ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, len);
    int error = errno;
    close(fd);
    errno = error;
    return sent < 0 ? -1 : 0;
}

void supervisor_tell(const char *state)
{
    if (systemd_listens && send_to_systemd(state))
        log_warning("systemd supervision error: sd_notify: %s", strerror(errno));
}

static bool start_under_upstart(void)
{
    if (!getenv(UPSTART_VARIABLE)) {
        log_warning("upstart supervision requested, but " UPSTART_VARIABLE " not found!");
        return false;
    }
    log_notice("supervised by upstart, will stop to signal readiness.");
    raise(SIGSTOP);
    unsetenv(UPSTART_VARIABLE);
    return true;
}

static bool start_under_systemd(void)
{
    if (!getenv(SYSTEMD_VARIABLE)) {
        log_warning("systemd supervision error: " SYSTEMD_VARIABLE " not found!");
        return false;
    }
    systemd_listens = true;
    log_notice("Supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec and "
               "TimeoutStopSec in your service unit.");
    supervisor_tell("STATUS=Redis is loading...\n");
    return true;
}

bool supervisor_start(enum supervision wanted)
{
    if (wanted == SUPERVISED_AUTO) {
        if (getenv(UPSTART_VARIABLE))
            wanted = SUPERVISED_UPSTART;
        else
            wanted = getenv(SYSTEMD_VARIABLE) ? SUPERVISED_SYSTEMD : SUPERVISED_NO;
    }
    switch (wanted) {
    case SUPERVISED_UPSTART: return start_under_upstart();
    case SUPERVISED_SYSTEMD: return start_under_systemd();
    default: return false;
    }
}
