/* Each kept connection has a timer, so that one that is not needed any more goes by itself. The server has one such
 * set, which no other part asks for: it stands here. */
#include "server/commands/migrate_socket.h"

#include "server/base/alloc.h"
#include "server/base/list.h"
#include "server/base/number.h"
#include "server/core/core.h"
#include "server/core/stats.h"
#include "server/net/blocking_socket.h"
#include "server/net/loop.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEPT_MOST   64
#define KEPT_FOR_MS 10000

struct migrate_socket {
    struct list_node node; /* among the kept ones, unless it is in use; longest unused first */
    struct core *core;
    struct loop_timer *timer; /* of a kept one */
    char *host;
    int64_t port;
    int fd;
};

static struct list kept_sockets;

static struct list *all_kept(void)
{
    if (!kept_sockets.head.next) list_init(&kept_sockets);
    return &kept_sockets;
}

static void set_kept(struct migrate_socket *s, bool kept)
{
    if (kept)
        list_push_back(all_kept(), &s->node);
    else
        list_remove(all_kept(), &s->node);
    s->core->stats->migrate_cached_sockets = all_kept()->count;
}

void migrate_socket_close(struct migrate_socket *s)
{
    close(s->fd);
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

static struct migrate_socket *find_kept(const char *host, int64_t port)
{
    list_each(all_kept(), node)
    {
        struct migrate_socket *s = list_entry(node, struct migrate_socket, node);
        if (s->port == port && strcmp(s->host, host) == 0) return s;
    }
    return NULL;
}

/* The other side may have closed it meanwhile; bytes that nobody asked for are no better. */
static bool is_quiet(const struct migrate_socket *s)
{
    char byte;
    return recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* A kept one, of the caller's from now on; NULL: none. */
static struct migrate_socket *reuse(const char *host, int64_t port)
{
    struct migrate_socket *s = find_kept(host, port);
    if (!s) return NULL;
    take(s);
    if (is_quiet(s)) return s;
    migrate_socket_close(s);
    return NULL;
}

struct migrate_socket *migrate_socket_get(struct core *core, struct bytes host_text, struct bytes port_text)
{
    int64_t port = 0;
    parse_i64(port_text, &port);
    char *host = bytes_to_text(host_text);
    struct migrate_socket *s = reuse(host, port);
    int fd = s ? -1 : blocking_socket_connect(host, (int)port);
    if (s || fd < 0) {
        mem_free(host);
        return s;
    }
    s = mem_alloc(sizeof *s);
    *s = (struct migrate_socket){.core = core, .host = host, .port = port, .fd = fd};
    return s;
}

int migrate_socket_fd(const struct migrate_socket *s)
{
    return s->fd;
}

void migrate_socket_keep(struct migrate_socket *s)
{
    if (all_kept()->count == KEPT_MOST) {
        struct migrate_socket *oldest = list_entry(list_first(all_kept()), struct migrate_socket, node);
        take(oldest);
        migrate_socket_close(oldest);
    }
    set_kept(s, true);
    s->timer = loop_timer_start(s->core->loop, KEPT_FOR_MS, unused_too_long, s);
}
