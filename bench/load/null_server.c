/* See null_server.h. What a client does not read is waited for: one that pipelines without reading stops all others. */
#include "bench/load/null_server.h"

#include "bench/load/counter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX    128
#define RECEIVE_BYTES (256 << 10)
#define REPLY         "+OK\r\n"
#define REPLIES       4096 /* sent at once */

struct guest {
    int fd;
    struct counter counter;
};

static void answer(const struct guest *g, long requests)
{
    static char replies[REPLIES * (sizeof REPLY - 1)];
    for (size_t at = 0; !replies[sizeof replies - 1] && at < sizeof replies; at += sizeof REPLY - 1)
        memcpy(replies + at, REPLY, sizeof REPLY - 1);
    while (requests > 0) {
        long now = requests < REPLIES ? requests : REPLIES;
        size_t len = (size_t)now * (sizeof REPLY - 1);
        for (size_t at = 0; at < len;) {
            ssize_t n = send(g->fd, replies + at, len - at, MSG_NOSIGNAL);
            if (n <= 0) return;
            at += (size_t)n;
        }
        requests -= now;
    }
}

static void serve(struct guest *g)
{
    static char received[RECEIVE_BYTES];
    ssize_t n = recv(g->fd, received, sizeof received, 0);
    long requests = n > 0 ? counter_take(&g->counter, received, (size_t)n) : -1;
    if (requests >= 0) {
        answer(g, requests);
        return;
    }
    close(g->fd);
    free(g);
}

static void welcome(int listener, int epoll)
{
    int yes = 1;
    struct guest *g = calloc(1, sizeof *g);
    int fd = accept(listener, NULL, NULL);
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = g};
    if (g && fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted) == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        g->fd = fd;
        return;
    }
    if (fd >= 0) close(fd);
    free(g);
}

int null_server_run(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), epoll = epoll_create1(EPOLL_CLOEXEC), yes = 1;
    struct epoll_event ready[EVENTS_MAX], wanted = {.events = EPOLLIN};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (listener < 0 || epoll < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 511) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &wanted) < 0)
        return -1;
    for (;;) {
        int count = epoll_wait(epoll, ready, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr)
                serve(ready[i].data.ptr);
            else
                welcome(listener, epoll);
        }
    }
}
