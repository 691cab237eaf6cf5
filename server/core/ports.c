/* Listening, in the server process. An address that begins with '-' may be missing (Redis's way to say "if there is
 * IPv6"). */
#include "server/core/ports.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/core/clients.h"
#include "server/core/core.h"
#include "server/core/settings.h"
#include "server/net/listener.h"

#include <errno.h>
#include <time.h>

#define PORT_WAIT_MS  500
#define PORT_RETRY_MS 5

static struct {
    struct listener *tcp[BIND_MAX];
    int tcp_count;
    struct listener *unix_socket;
} doors;

static void accepted_tcp(void *arg, int fd)
{
    clients_accept(arg, fd, false);
}

static void accepted_unix(void *arg, int fd)
{
    clients_accept(arg, fd, true);
}

static void close_all(struct listener **tcp, int count)
{
    for (int i = 0; i < count; i++) listener_close(tcp[i]);
}

/* The kernel gives back the port of a server that has just been killed only when it has wound up that process's ring,
 * some milliseconds after its end: a restart at once waits for it. */
static struct listener *listen_patiently(struct core *core, const char *address)
{
    const struct net_settings *net = &core->settings->net;
    int64_t deadline_ms = clock_monotonic_ms() + PORT_WAIT_MS;
    for (;;) {
        struct listener *l = listener_tcp(core->loop, address, net->port, net->tcp_backlog, accepted_tcp, core);
        if (l || errno != EADDRINUSE || clock_monotonic_ms() >= deadline_ms) return l;
        nanosleep(&(struct timespec){.tv_nsec = PORT_RETRY_MS * 1000 * 1000}, NULL);
    }
}

static bool may_be_missing(int error)
{
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT || error == EPROTONOSUPPORT || error == ENOPROTOOPT ||
           error == ESOCKTNOSUPPORT || error == EPFNOSUPPORT;
}

/* Fills out with every address of the settings. -1: one that must be there is not; nothing is left open. */
static int listen_tcp(struct core *core, struct listener **out, int *count)
{
    const struct net_settings *net = &core->settings->net;
    *count = 0;
    if (!net->port) return 0;
    for (int i = 0; i < net->bind_count; i++) {
        const char *address = net->bind[i];
        bool optional = *address == '-';
        struct listener *l = listen_patiently(core, address + optional);
        if (l) {
            out[(*count)++] = l;
        } else if (!optional || !may_be_missing(errno)) {
            log_warning("Could not create server TCP listening socket %s:%d: bind: %s", address + optional, net->port,
                        strerror(errno));
            close_all(out, *count);
            return -1;
        }
    }
    if (*count) return 0;
    log_warning("Configured to not listen anywhere, exiting.");
    return -1;
}

int ports_open(struct core *core)
{
    const struct net_settings *net = &core->settings->net;
    if (listen_tcp(core, doors.tcp, &doors.tcp_count)) {
        log_warning("Failed listening on port %d (tcp), aborting.", net->port);
        return -1;
    }
    if (net->unix_socket && *net->unix_socket) {
        doors.unix_socket =
            listener_unix(core->loop, net->unix_socket, net->unix_socket_mode, net->tcp_backlog, accepted_unix, core);
        if (!doors.unix_socket) {
            log_warning("Failed opening Unix socket: bind: %s", strerror(errno));
            close_all(doors.tcp, doors.tcp_count);
            return -1;
        }
    }
    if (doors.tcp_count || doors.unix_socket) return 0;
    log_warning("Configured to not listen anywhere, exiting.");
    return -1;
}

void ports_close(void)
{
    close_all(doors.tcp, doors.tcp_count);
    doors.tcp_count = 0;
    if (doors.unix_socket) listener_close(doors.unix_socket);
    doors.unix_socket = NULL;
}

int ports_reopen_tcp(struct core *core)
{
    struct listener *fresh[BIND_MAX];
    struct listener *old[BIND_MAX];
    int count, old_count = doors.tcp_count;
    memcpy(old, doors.tcp, sizeof old);
    if (listen_tcp(core, fresh, &count)) return -1;
    memcpy(doors.tcp, fresh, sizeof fresh);
    doors.tcp_count = count;
    close_all(old, old_count);
    return 0;
}
