/* Listening sockets: making them, and what to do when accepting fails. In the server; in any process with a loop.
 *
 * Out of descriptors, the waiting connection stays in the kernel's queue and keeps the socket ready: accepting again at
 * once would spin. So accepting pauses for a moment and says so, at most once a second. */
#include "server/net/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/alloc.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/net/engine.h"

#define ACCEPT_PAUSE_MS        100
#define ACCEPT_LOG_INTERVAL_US 1000000

static void close_keeping_errno(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
}

static struct listener *listen_on(struct loop *loop, int fd, const struct address *address, int backlog,
                                  void (*accepted)(void *arg, int fd), void *arg)
{
    if (listen(fd, backlog) != 0) return NULL;
    struct listener *listener = mem_calloc(1, sizeof(*listener));
    endpoint_init(&listener->endpoint, loop, ENDPOINT_LISTENER, fd);
    listener->address = *address;
    listener->address.len = sizeof(listener->address.storage);
    getsockname(fd, (struct sockaddr *)&listener->address.storage, &listener->address.len);
    listener->accepted = accepted;
    listener->arg = arg;
    loop->engine->accept(listener);
    return listener;
}

struct listener *listener_tcp(struct loop *loop, const struct address *address, int backlog,
                              void (*accepted)(void *arg, int fd), void *arg)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return NULL;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->storage.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));

    struct listener *listener = NULL;
    if (bind(fd, (const struct sockaddr *)&address->storage, address->len) == 0)
        listener = listen_on(loop, fd, address, backlog, accepted, arg);
    if (!listener) close_keeping_errno(fd);
    return listener;
}

/* What a dead server left there goes, or a file. A device or a pipe stays: then the address is in use. */
static void make_room(const char *path)
{
    struct stat found;
    bool is_socket = stat(path, &found) == 0 && S_ISSOCK(found.st_mode);
    if (is_socket || file_is_ordinary(path)) unlink(path);
}

struct listener *listener_unix(struct loop *loop, const char *path, unsigned mode, int backlog,
                               void (*accepted)(void *arg, int fd), void *arg)
{
    struct address address;
    if (address_unix(&address, path) != 0) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return NULL;
    make_room(path);

    struct listener *listener = NULL;
    if (bind(fd, (struct sockaddr *)&address.storage, address.len) == 0 && (mode == 0 || chmod(path, mode) == 0))
        listener = listen_on(loop, fd, &address, backlog, accepted, arg);
    if (!listener) close_keeping_errno(fd);
    return listener;
}

int listener_set_mark(struct listener *listener, unsigned mark)
{
    return setsockopt(listener->endpoint.fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark);
}

void listener_close(struct listener *listener)
{
    if (listener->retry) loop_timer_cancel(listener->retry);
    /* The engine may hold the socket a little longer; its address has to be free now. */
    shutdown(listener->endpoint.fd, SHUT_RDWR);
    endpoint_retire(&listener->endpoint);
}

const struct address *listener_address(const struct listener *listener)
{
    return &listener->address;
}

void listener_on_accept(struct listener *listener, int fd)
{
    if (listener->endpoint.gone)
        close(fd);
    else
        listener->accepted(listener->arg, fd);
}

static int64_t accept_again(void *arg)
{
    struct listener *listener = arg;
    listener->retry = NULL;
    listener->endpoint.loop->engine->accept(listener);
    return LOOP_TIMER_DONE;
}

/* The connection at the head of the queue was at fault, not we. */
static bool concerns_one_connection(int error)
{
    switch (error) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH: return true;
    default: return false;
    }
}

void listener_on_error(struct listener *listener, int error)
{
    struct loop *loop = listener->endpoint.loop;
    if (listener->endpoint.gone) return;
    if (concerns_one_connection(error)) {
        loop->engine->accept(listener);
        return;
    }
    if (listener->logged_us == 0 || loop->monotonic_us - listener->logged_us >= ACCEPT_LOG_INTERVAL_US) {
        log_warning("Accepting client connection: %s", strerror(error));
        listener->logged_us = loop->monotonic_us;
    }
    loop->engine->pause(listener);
    listener->retry = loop_timer_start(loop, ACCEPT_PAUSE_MS, accept_again, listener);
}
