/* The epoll engine: for kernels and containers that refuse io_uring. Any process with a loop.
 *
 * Level-triggered. What is ready is read once a turn, a buffer at most, so that one endless sender cannot starve the
 * others; sends are written directly at the end of the turn, and the kernel is asked to tell when a socket is writable
 * only after it has refused some bytes. */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/net/engine.h"

#define EVENTS_PER_WAIT  256
#define ACCEPTS_PER_TURN 256
#define GATHER_RUNS      16

static int epoll_descriptor(const struct loop *loop)
{
    return *(int *)loop->engine_state;
}

static int epoll_start(struct loop *loop, const struct loop_settings *settings)
{
    (void)settings;
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) return -1;
    loop->engine_state = mem_alloc(sizeof(int));
    *(int *)loop->engine_state = fd;
    return 0;
}

static void epoll_stop(struct loop *loop)
{
    close(epoll_descriptor(loop));
    mem_free(loop->engine_state);
}

static void epoll_abandon(struct loop *loop)
{
    close(epoll_descriptor(loop));
}

/* Waits for `events` from now on; 0 takes the descriptor out. 0, or -1 with errno. */
static int arm(struct endpoint *endpoint, uint32_t events)
{
    if (endpoint->armed == events) return 0;
    int operation = endpoint->armed == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    struct epoll_event event = {.events = events, .data.ptr = endpoint};
    if (epoll_ctl(epoll_descriptor(endpoint->loop), operation, endpoint->fd, &event) != 0) return -1;
    endpoint->armed = events;
    return 0;
}

static void epoll_release(struct endpoint *endpoint)
{
    /* Not left to close(): a forked child may still hold the same open file, and with it the registration. */
    arm(endpoint, 0);
}

/* --- connections --- */

static void epoll_conn_read(struct conn *conn)
{
    if (arm(&conn->endpoint, conn->endpoint.armed | EPOLLIN) == 0) return;
    conn->reading = false;
    conn_fail_later(conn, errno);
}

static void epoll_conn_stop_reading(struct conn *conn)
{
    conn->reading = false;
    arm(&conn->endpoint, conn->endpoint.armed & ~(uint32_t)EPOLLIN);
}

static void epoll_conn_stop_waiting(struct conn *conn)
{
    conn->send_waiting = false;
    arm(&conn->endpoint, conn->endpoint.armed & ~(uint32_t)EPOLLOUT);
}

static void epoll_conn_connect(struct conn *conn)
{
    const struct address *to = &conn->aside->to;
    int failed = connect(conn->endpoint.fd, (const struct sockaddr *)&to->storage, to->len);
    if ((failed && errno != EINPROGRESS) || arm(&conn->endpoint, EPOLLOUT) != 0) conn_fail_later(conn, errno);
}

static void finish_connecting(struct conn *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(conn->endpoint.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    arm(&conn->endpoint, 0);
    conn_on_connected(conn, error);
}

static void read_some(struct conn *conn, uint8_t *buffer)
{
    if (conn->delivering) return;
    ssize_t received = recv(conn->endpoint.fd, buffer, INPUT_BYTES_EACH_TURN, MSG_DONTWAIT);
    if (received > 0) {
        conn_on_data(conn, buffer, (size_t)received);
        return;
    }
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
    int error = received < 0 ? errno : 0;
    epoll_conn_stop_reading(conn);
    conn_on_end(conn, error);
}

static void send_some(struct conn *conn)
{
    struct iovec runs[GATHER_RUNS];
    size_t total;
    unsigned count = conn_gather(conn, runs, GATHER_RUNS, &total);
    if (total == 0) return;
    struct msghdr message = {.msg_iov = runs, .msg_iovlen = count};
    int fd = conn->endpoint.fd, flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    ssize_t sent = count == 1 ? send(fd, runs[0].iov_base, total, flags) : sendmsg(fd, &message, flags);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        conn_on_send_failed(conn, errno);
        return;
    }
    bool full = sent < (ssize_t)total;
    conn->send_waiting = full;
    if (sent > 0) conn_on_sent(conn, (size_t)sent);
    if (conn->endpoint.gone) return;
    uint32_t armed = conn->endpoint.armed;
    if (arm(&conn->endpoint, full ? armed | EPOLLOUT : armed & ~(uint32_t)EPOLLOUT) != 0)
        conn_on_send_failed(conn, errno);
    else if (!full && conn_may_send(conn))
        conn_flush(conn);
}

/* Only what stands in the list now: who has more to send than one call takes waits for the next turn. */
static void epoll_send(struct loop *loop)
{
    for (size_t left = loop->sends.count; left > 0 && list_first(&loop->sends); left--) {
        struct conn *conn = list_entry(list_first(&loop->sends), struct conn, send_node);
        list_remove(&loop->sends, &conn->send_node);
        send_some(conn);
    }
}

static void conn_ready(struct conn *conn, uint32_t events, uint8_t *buffer)
{
    if (conn->state == CONN_CONNECTING) {
        finish_connecting(conn);
        return;
    }
    if (conn->reading && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) read_some(conn, buffer);
    if (!conn->endpoint.gone && conn->send_waiting && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))) send_some(conn);
}

/* --- listeners --- */

static void epoll_accept(struct listener *listener)
{
    if (arm(&listener->endpoint, EPOLLIN) != 0) listener_on_error(listener, errno);
}

static void epoll_pause(struct listener *listener)
{
    arm(&listener->endpoint, 0);
}

static void accept_some(struct listener *listener)
{
    for (int i = 0; i < ACCEPTS_PER_TURN && !listener->endpoint.gone; i++) {
        int fd = accept4(listener->endpoint.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN) listener_on_error(listener, errno);
            return;
        }
        listener_on_accept(listener, fd);
    }
}

/* --- watches --- */

static void epoll_watch(struct loop_watch *watch)
{
    uint32_t events = (watch->events & LOOP_READABLE ? EPOLLIN : 0u) | (watch->events & LOOP_WRITABLE ? EPOLLOUT : 0u) |
                      (watch->events & LOOP_EDGE ? EPOLLET : 0u);
    CHECK(arm(&watch->endpoint, events) == 0);
}

static void watch_ready(struct loop_watch *watch, uint32_t events)
{
    int broken = events & (EPOLLHUP | EPOLLERR) ? LOOP_READABLE | LOOP_WRITABLE : 0;
    watch_on_ready(watch, broken | (events & EPOLLIN ? LOOP_READABLE : 0) | (events & EPOLLOUT ? LOOP_WRITABLE : 0));
}

/* --- the turn --- */

static void deliver(struct endpoint *endpoint, uint32_t events, uint8_t *buffer)
{
    if (endpoint->gone) return;
    switch ((enum endpoint_kind)endpoint->kind) {
    case ENDPOINT_CONN: conn_ready((struct conn *)endpoint, events, buffer); break;
    case ENDPOINT_LISTENER: accept_some((struct listener *)endpoint); break;
    case ENDPOINT_WATCH: watch_ready((struct loop_watch *)endpoint, events); break;
    case ENDPOINT_KINDS: UNREACHABLE();
    }
}

static void epoll_turn(struct loop *loop, int64_t timeout_us)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    uint8_t buffer[INPUT_BYTES_EACH_TURN]; /* on the stack, so that turns inside turns each have their own */

    int64_t gather_us = loop_take_gathering(loop, timeout_us);
    if (gather_us > 0) usleep((useconds_t)gather_us);
    if (gather_us > 0 && timeout_us > 0) timeout_us -= gather_us;
    int64_t timeout_ms = timeout_us < 0 ? -1 : (timeout_us + 999) / 1000;
    if (timeout_ms > INT32_MAX) timeout_ms = INT32_MAX;
    int count = epoll_wait(epoll_descriptor(loop), events, EVENTS_PER_WAIT, (int)timeout_ms);
    CHECK(count >= 0 || errno == EINTR);
    loop_refresh_time(loop);
    for (int i = 0; i < count; i++) deliver(events[i].data.ptr, events[i].events, buffer);
}

const struct engine engine_epoll = {
    .name = "epoll",
    .start = epoll_start,
    .stop = epoll_stop,
    .abandon = epoll_abandon,
    .send = epoll_send,
    .begin = epoll_send,
    .turn = epoll_turn,
    .conn_connect = epoll_conn_connect,
    .conn_read = epoll_conn_read,
    .conn_stop_reading = epoll_conn_stop_reading,
    .conn_stop_waiting = epoll_conn_stop_waiting,
    .accept = epoll_accept,
    .pause = epoll_pause,
    .watch = epoll_watch,
    .release = epoll_release,
};
