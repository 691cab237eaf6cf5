/* Listening, in the server process. An address that begins with '-' may be missing (Redis's way to say "if there is
 * IPv6"); one may be a name, and is its first address then.
 *
 * When CONFIG SET moves the doors, those that stay are left alone, and so are their waiting connections. What is to go
 * is closed last, unless it is in the way of what comes ("*" and one address of this machine exclude each other): then
 * it is opened again if something fails. */
#include "server/core/process/ports.h"

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/core/clients/clients.h"
#include "server/core/clients/handshakes.h"
#include "server/core/core.h"
#include "server/core/settings.h"
#include "server/net/listener.h"
#include "server/net/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <time.h>

#define PORT_WAIT_MS       5000
#define PORT_RETRY_MS      5
#define LOOKUP_AT_START_MS 30000
#define LOOKUP_MS          1000 /* by CONFIG SET: the loop stands still meanwhile */

/* A door leads to plain clients, or to those who speak TLS. */
struct door {
    char name[256]; /* as `bind` has it, without the minus sign */
    bool optional, tls;
    struct address address;
    struct listener *listener; /* NULL: not open, also when it is missing and may be */
};

struct door_list {
    struct door door[2 * BIND_MAX];
    int count;
};

static struct {
    struct door_list tcp; /* those with TLS too */
    struct listener *unix_socket;
} doors;

static void accepted_tcp(void *arg, int fd)
{
    clients_accept(arg, fd, false);
}

static void accepted_tls(void *arg, int fd)
{
    clients_accept_tls(arg, fd);
}

static void accepted_unix(void *arg, int fd)
{
    clients_accept(arg, fd, true);
}

/* --- where --- */

/* 0, or getaddrinfo's error. A name without a colon is looked for among IPv4 addresses, as Redis does. */
static int find_address(const char *name, int port, int timeout_ms, struct address *out)
{
    struct address found[LOOKUP_ADDRESSES_MAX];
    int count;
    if (strcmp(name, "*") == 0) name = "0.0.0.0";
    if (strcmp(name, "::*") == 0) name = "::";
    int error = lookup_within(name, port, strchr(name, ':') ? AF_INET6 : AF_INET, timeout_ms, found, &count);
    if (!error) *out = found[0];
    return error;
}

static void say_closed(const char *name, int port, const char *why, const char *error)
{
    log_warning("Warning: Could not create server TCP listening socket %s:%d: %s%s", name, port, why, error);
}

/* The doors of one port. -1: an address of the settings has none; it was logged. */
static int find_port(const struct net_settings *net, int port, bool tls, int timeout_ms, struct door_list *out)
{
    for (int i = 0; port && i < net->bind_count; i++) {
        struct door *door = &out->door[out->count++];
        door->tls = tls;
        door->optional = net->bind[i][0] == '-';
        snprintf(door->name, sizeof door->name, "%s", net->bind[i] + door->optional);
        int error = find_address(door->name, port, timeout_ms, &door->address);
        if (!error) continue;
        say_closed(door->name, port, "", gai_strerror(error));
        return -1;
    }
    return 0;
}

/* Every address of the settings, none of them open. */
static int find_all(const struct settings *s, int timeout_ms, struct door_list *out)
{
    *out = (struct door_list){0};
    int failed = find_port(&s->net, s->net.port, false, timeout_ms, out);
    return failed ? failed : find_port(&s->net, s->tls.tls_port, true, timeout_ms, out);
}

/* --- opening and closing --- */

static int open_count(const struct door_list *list)
{
    int count = 0;
    for (int i = 0; i < list->count; i++) count += list->door[i].listener != NULL;
    return count;
}

static bool leads_through(const struct door_list *list, const struct listener *listener)
{
    for (int i = 0; i < list->count; i++) {
        if (list->door[i].listener == listener) return true;
    }
    return false;
}

/* Closes what is open of `list` and not in `kept`. */
static void close_but(struct door_list *list, const struct door_list *kept)
{
    for (int i = 0; i < list->count; i++) {
        struct door *door = &list->door[i];
        if (!door->listener || leads_through(kept, door->listener)) continue;
        listener_close(door->listener);
        door->listener = NULL;
    }
}

static void mark(const struct core *core, struct listener *listener)
{
    unsigned id = core->settings->net.socket_mark_id;
    if (id && listener_set_mark(listener, id))
        log_warning("Unable to mark a listening socket with socket-mark-id %u: %s", id, strerror(errno));
}

/* The kernel gives back the port of a server that has just been killed only when it has wound up that process's ring,
 * some milliseconds after its end (2.3 s were seen where ten wanted each processor): a restart at once waits for it. */
static void open_door(struct core *core, struct door *door, int patience_ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + patience_ms;
    for (;;) {
        door->listener = listener_tcp(core->loop, &door->address, core->settings->net.tcp_backlog,
                                      door->tls ? accepted_tls : accepted_tcp, core);
        if (door->listener) mark(core, door->listener);
        if (door->listener || errno != EADDRINUSE || clock_monotonic_ms() >= deadline_ms) return;
        nanosleep(&(struct timespec){.tv_nsec = PORT_RETRY_MS * 1000 * 1000}, NULL);
    }
}

static bool may_be_missing(int error)
{
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT || error == EPROTONOSUPPORT || error == ENOPROTOOPT ||
           error == ESOCKTNOSUPPORT || error == EPFNOSUPPORT;
}

/* Opens what is not open yet. -1: one that must be there can't be; it was logged, and the list is as before. */
static int open_rest(struct core *core, struct door_list *list, int patience_ms)
{
    const struct door_list before = *list;
    for (int i = 0; i < list->count; i++) {
        struct door *door = &list->door[i];
        if (door->listener) continue;
        open_door(core, door, patience_ms);
        if (door->listener) continue;
        int error = errno;
        say_closed(door->name, address_port(&door->address), "bind: ", strerror(error));
        if (door->optional && may_be_missing(error)) continue;
        close_but(list, &before);
        return -1;
    }
    return 0;
}

int ports_open(struct core *core)
{
    const struct net_settings *net = &core->settings->net;
    if (find_all(core->settings, LOOKUP_AT_START_MS, &doors.tcp) || open_rest(core, &doors.tcp, PORT_WAIT_MS)) {
        if (net->port) log_warning("Failed listening on port %d (tcp), aborting.", net->port);
        if (core->settings->tls.tls_port)
            log_warning("Failed listening on port %d (tls), aborting.", core->settings->tls.tls_port);
        return -1;
    }
    if (net->unix_socket && *net->unix_socket) {
        doors.unix_socket =
            listener_unix(core->loop, net->unix_socket, net->unix_socket_mode, net->tcp_backlog, accepted_unix, core);
        if (!doors.unix_socket) {
            log_warning("Failed opening Unix socket: bind: %s", strerror(errno));
            ports_close();
            return -1;
        }
    }
    if (open_count(&doors.tcp) || doors.unix_socket) return 0;
    log_warning("Configured to not listen anywhere, exiting.");
    return -1;
}

void ports_close(void)
{
    close_but(&doors.tcp, &(struct door_list){0});
    if (doors.unix_socket) listener_close(doors.unix_socket);
    doors.unix_socket = NULL;
}

/* Doors that are open already are taken over. */
static void take_over(struct door_list *wanted)
{
    for (int i = 0; i < wanted->count; i++) {
        for (int k = 0; k < doors.tcp.count && !wanted->door[i].listener; k++) {
            struct door *old = &doors.tcp.door[k];
            if (old->listener && old->tls == wanted->door[i].tls &&
                address_equal(&old->address, &wanted->door[i].address) && !leads_through(wanted, old->listener))
                wanted->door[i].listener = old->listener;
        }
    }
}

static void close_in_the_way(const struct door_list *wanted)
{
    for (int k = 0; k < doors.tcp.count; k++) {
        struct door *old = &doors.tcp.door[k];
        bool in_the_way = false;
        for (int i = 0; i < wanted->count; i++)
            in_the_way |= !wanted->door[i].listener && address_overlaps(&old->address, &wanted->door[i].address);
        if (!in_the_way || !old->listener || leads_through(wanted, old->listener)) continue;
        listener_close(old->listener);
        old->listener = NULL;
    }
}

int ports_reopen_tcp(struct core *core)
{
    struct door_list wanted;
    if (find_all(core->settings, LOOKUP_MS, &wanted)) return -1;
    take_over(&wanted);
    close_in_the_way(&wanted);
    if (open_rest(core, &wanted, 0)) {
        log_warning("Failed applying new configuration. Restoring the previous addresses.");
        if (open_rest(core, &doors.tcp, 0)) log_warning("Not all of the previous addresses could be restored.");
        return -1;
    }
    close_but(&doors.tcp, &wanted);
    doors.tcp = wanted;
    return 0;
}
