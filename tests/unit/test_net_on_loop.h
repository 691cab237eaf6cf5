/* What the tests of server/net share: a loop on either engine, one end of a connection that records what it is told,
 * and input that can be checked from any position.
 *
 * Where the kernel refuses io_uring its half says so and is skipped. Nothing sleeps: a test turns the loop until what
 * it waits for is true, within a bound. */
#ifndef SLIPSTREAM_TEST_NET_LOOP_H
#define SLIPSTREAM_TEST_NET_LOOP_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/net/conn.h"
#include "server/net/fdpass.h"
#include "server/net/listener.h"

#define WAIT_BOUND_MS 20000

static struct loop *loop;

/* Turns until the condition holds; fails the test when that takes too long. */
#define turn_until(condition)                                                                                          \
    do {                                                                                                               \
        int64_t limit_ms = clock_monotonic_ms() + WAIT_BOUND_MS;                                                       \
        while (!(condition)) {                                                                                         \
            cr_assert_lt(clock_monotonic_ms(), limit_ms, "waited in vain for: %s", #condition);                        \
            loop_turn(loop, 5);                                                                                        \
        }                                                                                                              \
    } while (0)

static inline bool open_loop(enum loop_engine engine)
{
    clock_init();
    log_open("/dev/null", LOG_NOTHING);
    struct loop_settings settings = {.engine = engine, .max_connections_hint = 1000};
    loop = loop_new(&settings);
    if (!loop) fprintf(stderr, "skipped: the kernel refuses io_uring: %s\n", strerror(errno));
    cr_assert(loop || engine == LOOP_ENGINE_URING);
    return loop != NULL;
}

/* Defines the case once and runs it on both engines, each in a process of its own. */
#define ENGINE_TEST(name)                                                                                              \
    static void name##_case(void);                                                                                     \
    Test(net_uring, name, .timeout = 60)                                                                               \
    {                                                                                                                  \
        if (!open_loop(LOOP_ENGINE_URING)) return;                                                                     \
        name##_case();                                                                                                 \
        loop_free(loop);                                                                                               \
    }                                                                                                                  \
    Test(net_epoll, name, .timeout = 60)                                                                               \
    {                                                                                                                  \
        open_loop(LOOP_ENGINE_EPOLL);                                                                                  \
        name##_case();                                                                                                 \
        loop_free(loop);                                                                                               \
    }                                                                                                                  \
    static void name##_case(void)

/* --- one side under test, recording what it is told --- */

struct side {
    struct conn *conn;
    struct outq received;
    int data_calls, closed_calls, connected_calls, drained_calls;
    int error;
    bool echo;
    void (*on_data)(struct side *side);
    void (*on_drained)(struct side *side);
};

static inline void side_data(struct conn *conn, const uint8_t *data, size_t len)
{
    struct side *side = conn_owner(conn);
    cr_assert_eq(side->closed_calls, 0, "data after the end");
    side->data_calls++;
    outq_append(&side->received, data, len);
    if (side->echo) {
        outq_append(conn_output(conn), data, len);
        conn_flush(conn);
    }
    if (side->on_data) side->on_data(side);
}

static inline void side_closed(struct conn *conn, int error)
{
    struct side *side = conn_owner(conn);
    side->closed_calls++;
    side->error = error;
    side->conn = NULL;
}

static inline void side_connected(struct conn *conn, int error)
{
    struct side *side = conn_owner(conn);
    side->connected_calls++;
    side->error = error;
    if (error) side->conn = NULL;
}

static inline void side_drained(struct conn *conn)
{
    struct side *side = conn_owner(conn);
    cr_assert_eq(conn_unsent(conn), 0);
    side->drained_calls++;
    if (side->on_drained) side->on_drained(side);
}

static const struct conn_events quiet_events = {.data = side_data, .closed = side_closed, .connected = side_connected};
static const struct conn_events draining_events = {
    .data = side_data, .closed = side_closed, .connected = side_connected, .drained = side_drained};

/* Opens `side` on the loop; returns the other end, non-blocking, driven by the test itself. */
static inline int open_pair(struct side *side, const struct conn_events *events)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    side->conn = conn_open(loop, pair[0], events, side);
    return pair[1];
}

static inline uint8_t pattern_at(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static inline uint8_t *pattern(size_t len)
{
    uint8_t *out = malloc(len);
    for (size_t i = 0; i < len; i++) out[i] = pattern_at(i);
    return out;
}

static inline void write_out(struct conn *conn, const void *data, size_t len)
{
    outq_append(conn_output(conn), data, len);
    conn_flush(conn);
}

/* Reads what is there; checks it against the pattern from `at` on. Returns the new position; *ended at the end of
 * input. */
static inline size_t read_pattern(int fd, size_t at, size_t most, bool *ended)
{
    uint8_t buffer[65536];
    ssize_t n = recv(fd, buffer, most < sizeof(buffer) ? most : sizeof(buffer), MSG_DONTWAIT);
    if (n == 0) *ended = true;
    for (ssize_t i = 0; i < n; i++) cr_assert_eq(buffer[i], pattern_at(at + (size_t)i));
    return n > 0 ? at + (size_t)n : at;
}

static inline bool received_is(struct side *side, const char *text)
{
    struct bytes front = outq_front(&side->received);
    return outq_pending(&side->received) == strlen(text) && bytes_equal(front, bytes_from_text(text));
}

static inline bool hung_up(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

#endif
