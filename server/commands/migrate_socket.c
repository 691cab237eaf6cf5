/* Each kept connection has a timer, so that one that is not needed any more goes by itself. Server process. */
#include "server/commands/migrate_socket.h"

#include "server/base/alloc.h"
#include "server/base/list.h"
#include "server/base/log.h"
#include "server/base/number.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/settings.h"
#include "server/core/tls.h"
#include "server/net/blocking_socket.h"
#include "server/net/loop.h"

#define KEPT_MOST   64
#define KEPT_FOR_MS 10000

struct migrate_sockets {
    struct core *core;
    struct list kept; /* struct migrate_socket.node, longest unused first */
};

struct migrate_socket {
    struct migrate_sockets *all;
    struct list_node node;    /* in all->kept, unless it is in use */
    struct loop_timer *timer; /* of a kept one */
    char *host;
    int64_t port;
    bool tls;
    struct blocking_socket *socket;
};

struct migrate_sockets *migrate_sockets_new(struct core *core)
{
    struct migrate_sockets *all = mem_calloc(1, sizeof *all);
    all->core = core;
    list_init(&all->kept);
    return all;
}

static void set_kept(struct migrate_socket *s, bool kept)
{
    struct list *list = &s->all->kept;
    if (kept)
        list_push_back(list, &s->node);
    else
        list_remove(list, &s->node);
    s->all->core->stats->migrate_cached_sockets = list->count;
}

void migrate_socket_close(struct migrate_socket *s)
{
    blocking_socket_close(s->socket);
    mem_free(s->host);
    mem_free(s);
}

static int64_t unused_too_long(void *arg)
{
    set_kept(arg, false);
    migrate_socket_close(arg);
    return LOOP_TIMER_DONE;
}

/* Out of the set, for use. */
static void take(struct migrate_socket *s)
{
    set_kept(s, false);
    loop_timer_cancel(s->timer);
}

static bool wants_tls(const struct migrate_sockets *all)
{
    return all->core->settings->tls.tls_cluster;
}

static struct migrate_socket *find_kept(struct migrate_sockets *all, const char *host, int64_t port)
{
    list_each(&all->kept, node)
    {
        struct migrate_socket *s = list_entry(node, struct migrate_socket, node);
        if (s->port == port && s->tls == wants_tls(all) && strcmp(s->host, host) == 0) return s;
    }
    return NULL;
}

/* A kept one, of the caller's from now on; NULL: none. The other side may have closed it meanwhile; bytes that nobody
 * asked for are no better. */
static struct migrate_socket *reuse(struct migrate_sockets *all, const char *host, int64_t port)
{
    struct migrate_socket *s = find_kept(all, host, port);
    if (!s) return NULL;
    take(s);
    if (blocking_socket_is_quiet(s->socket)) return s;
    migrate_socket_close(s);
    return NULL;
}

static struct blocking_socket *connect_to(struct migrate_sockets *all, const char *host, int port, int timeout_ms)
{
    struct blocking_socket *socket = blocking_socket_connect(host, port, timeout_ms);
    char error[TLS_ERROR_MAX];
    if (!socket || !wants_tls(all)) return socket;
    if (blocking_socket_secure(socket, all->core->tls->client, timeout_ms, error, sizeof error) == 0) return socket;
    log_warning("MIGRATE: no TLS connection to %s:%d: %s", host, port, error);
    blocking_socket_close(socket);
    return NULL;
}

struct migrate_socket *migrate_socket_get(struct migrate_sockets *all, struct bytes host_text, struct bytes port_text,
                                          int timeout_ms)
{
    int64_t port = 0;
    parse_i64(port_text, &port);
    char *host = bytes_to_text(host_text);
    struct migrate_socket *s = reuse(all, host, port);
    struct blocking_socket *socket = s ? NULL : connect_to(all, host, (int)port, timeout_ms);
    if (!socket) {
        mem_free(host);
        return s;
    }
    s = mem_alloc(sizeof *s);
    *s = (struct migrate_socket){.all = all, .host = host, .port = port, .tls = wants_tls(all), .socket = socket};
    return s;
}

struct blocking_socket *migrate_socket_connection(const struct migrate_socket *s)
{
    return s->socket;
}

void migrate_socket_keep(struct migrate_socket *s)
{
    struct list *kept = &s->all->kept;
    if (kept->count == KEPT_MOST) {
        struct migrate_socket *oldest = list_entry(list_first(kept), struct migrate_socket, node);
        take(oldest);
        migrate_socket_close(oldest);
    }
    set_kept(s, true);
    s->timer = loop_timer_start(s->all->core->loop, KEPT_FOR_MS, unused_too_long, s);
}
