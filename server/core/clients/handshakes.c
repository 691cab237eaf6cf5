/* TLS handshakes of clients: from accept to the client, or to a line in the log. Server process.
 *
 * Whoever shakes hands has not said who he is, and a stranger may not make us keep things: each has some seconds, and
 * past HANDSHAKES_MAX of them the oldest has to go: one that is not done while so many others began is no loss. */
#include "server/core/clients/handshakes.h"

#include "server/base/alloc.h"
#include "server/base/log.h"
#include "server/core/clients/clients_parts.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/settings.h"
#include "server/core/tls.h"
#include "server/net/pool/pool.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDSHAKES_MAX 512

struct handshake {
    struct core *core;
    struct conn *conn;
    struct address peer;
    int64_t began_ms;      /* monotonic */
    struct list_node node; /* in clients, oldest first */
};

static void forget(struct handshake *h)
{
    list_remove(&h->core->clients->handshakes.all, &h->node);
    mem_free(h);
}

static void fail(struct handshake *h, const char *why)
{
    h->core->stats->tls_handshakes_failed++;
    clients_log_stranger(h->core, &h->peer, why);
}

static void give_up(struct handshake *h, const char *why)
{
    fail(h, why);
    conn_close(h->conn);
    forget(h);
}

/* --- the handshake has come to its end --- */

static void on_connected(struct conn *conn, int error)
{
    struct handshake *h = conn_owner(conn);
    struct core *core = h->core;
    if (error) {
        const char *tls = conn_tls_error(conn);
        fail(h, tls ? tls : error == ECONNRESET ? "gone before its TLS handshake" : strerror(error));
        forget(h);
        return;
    }
    struct address peer = h->peer;
    forget(h);
    core->stats->tls_handshakes++;
    clients_accept_secured(core, conn, &peer);
}

static const struct conn_events handshake_events = {.connected = on_connected};

/* --- its time and its number --- */

static int64_t timeout_ms(const struct core *core)
{
    return (int64_t)core->settings->tls.handshake_timeout_s * 1000;
}

static int64_t end_old_ones(void *arg)
{
    struct core *core = arg;
    struct handshakes *all = &core->clients->handshakes;
    int64_t now_ms = loop_monotonic_ms(core->loop);
    for (struct list_node *first; (first = list_first(&all->all));) {
        struct handshake *h = list_entry(first, struct handshake, node);
        int64_t left_ms = h->began_ms + timeout_ms(core) - now_ms;
        if (left_ms > 0) return left_ms;
        core->stats->tls_handshakes_timed_out++;
        give_up(h, "the TLS handshake takes too long");
    }
    all->timer = NULL;
    return LOOP_TIMER_DONE;
}

static void make_room(struct core *core)
{
    struct list *all = &core->clients->handshakes.all;
    if (all->count < HANDSHAKES_MAX) return;
    core->stats->tls_handshakes_dropped++;
    give_up(list_entry(list_first(all), struct handshake, node), "too many TLS handshakes at once");
}

void clients_accept_tls(struct core *core, int fd)
{
    struct handshakes *all = &core->clients->handshakes;
    struct address peer = {.len = sizeof peer.storage};
    if (getpeername(fd, (struct sockaddr *)&peer.storage, &peer.len)) {
        close(fd);
        return;
    }
    make_room(core);
    struct handshake *h = mem_calloc(1, sizeof *h);
    h->core = core;
    h->peer = peer;
    h->began_ms = loop_monotonic_ms(core->loop);
    list_push_back(&all->all, &h->node);
    h->conn = conn_open(core->loop, fd, &handshake_events, h);
    conn_secure(h->conn, core->tls->server);
    conn_set_nodelay(h->conn, true);
    pool_lend_work(h->conn, false); /* a signature takes as long as hundreds of requests */
    if (!all->timer) all->timer = loop_timer_start(core->loop, timeout_ms(core), end_old_ones, core);
}
