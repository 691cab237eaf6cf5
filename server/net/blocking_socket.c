/* Non-blocking underneath: poll() does the waiting and keeps the time. */
#include "server/net/blocking_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static int start_connecting(const struct addrinfo *to)
{
    int fd = socket(to->ai_family, to->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, to->ai_protocol);
    if (fd < 0) return -1;
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0 || errno == EINPROGRESS) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        return fd;
    }
    close(fd);
    return -1;
}

int blocking_socket_connect(const char *host, int port)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char service[16];
    int fd = -1;
    snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host, service, &hints, &found) != 0) return -1;
    for (const struct addrinfo *one = found; one && fd < 0; one = one->ai_next) fd = start_connecting(one);
    freeaddrinfo(found);
    return fd;
}

/* 0: something can be done. */
static int wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int ready;
    do {
        ready = poll(&p, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
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
