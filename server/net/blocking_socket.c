/* A connection that its user waits for: non-blocking underneath, while poll() does the waiting and keeps the time.
 * Server process. */
#include "server/net/blocking_socket.h"

#include "server/base/clock.h"
#include "server/net/lookup.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

static int start_connecting(const struct address *to)
{
    int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, (const struct sockaddr *)&to->storage, to->len) == 0 || errno == EINPROGRESS) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        return fd;
    }
    close(fd);
    return -1;
}

int blocking_socket_connect(const char *host, int port, int timeout_ms)
{
    struct address found[LOOKUP_ADDRESSES_MAX];
    int count = 0, fd = -1;
    lookup_within(host, port, AF_UNSPEC, timeout_ms, found, &count);
    for (int i = 0; i < count && fd < 0; i++) fd = start_connecting(&found[i]);
    return fd;
}

/* 0: something can be done. */
static int wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int64_t until_ms = clock_monotonic_ms() + timeout_ms, left_ms = timeout_ms;
    int ready;
    do {
        ready = poll(&p, 1, (int)left_ms);
        left_ms = until_ms - clock_monotonic_ms();
    } while (ready < 0 && errno == EINTR && left_ms > 0);
    if (ready < 0 && errno == EINTR) ready = 0;
    if (ready == 0) errno = ETIMEDOUT;
    return ready > 0 ? 0 : -1;
}

int blocking_socket_write(int fd, const void *data, size_t len, int timeout_ms)
{
    const char *at = data;
    while (len > 0) {
        if (wait_for(fd, POLLOUT, timeout_ms) != 0) return -1;
        ssize_t written = send(fd, at, len, MSG_NOSIGNAL);
        if (written < 0 && errno != EAGAIN && errno != EINTR) return -1;
        if (written > 0) {
            at += written;
            len -= (size_t)written;
        }
    }
    return 0;
}

ssize_t blocking_socket_read(int fd, void *data, size_t len, int timeout_ms)
{
    for (;;) {
        if (wait_for(fd, POLLIN, timeout_ms) != 0) return -1;
        ssize_t got = recv(fd, data, len, 0);
        if (got > 0) return got;
        if (got == 0) errno = ECONNRESET;
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) return -1;
    }
}
