/* The event loop, connections, listeners and descriptor passing: every property on both engines.
 *
 * Where the kernel refuses io_uring its half says so and is skipped. Nothing sleeps: a test turns the loop until what
 * it waits for is true, within a bound. */
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

#define WAIT_BOUND_MS 5000

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

static bool open_loop(enum loop_engine engine)
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

static void side_data(struct conn *conn, const uint8_t *data, size_t len)
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

static void side_closed(struct conn *conn, int error)
{
    struct side *side = conn_owner(conn);
    side->closed_calls++;
    side->error = error;
    side->conn = NULL;
}

static void side_connected(struct conn *conn, int error)
{
    struct side *side = conn_owner(conn);
    side->connected_calls++;
    side->error = error;
    if (error) side->conn = NULL;
}

static void side_drained(struct conn *conn)
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
static int open_pair(struct side *side, const struct conn_events *events)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    side->conn = conn_open(loop, pair[0], events, side);
    return pair[1];
}

static uint8_t pattern_at(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static uint8_t *pattern(size_t len)
{
    uint8_t *out = malloc(len);
    for (size_t i = 0; i < len; i++) out[i] = pattern_at(i);
    return out;
}

static void write_out(struct conn *conn, const void *data, size_t len)
{
    outq_append(conn_output(conn), data, len);
    conn_flush(conn);
}

/* Reads what is there; checks it against the pattern from `at` on. Returns the new position; *ended at the end of
 * input. */
static size_t read_pattern(int fd, size_t at, size_t most, bool *ended)
{
    uint8_t buffer[65536];
    ssize_t n = recv(fd, buffer, most < sizeof(buffer) ? most : sizeof(buffer), MSG_DONTWAIT);
    if (n == 0) *ended = true;
    for (ssize_t i = 0; i < n; i++) cr_assert_eq(buffer[i], pattern_at(at + (size_t)i));
    return n > 0 ? at + (size_t)n : at;
}

static bool received_is(struct side *side, const char *text)
{
    struct bytes front = outq_front(&side->received);
    return outq_pending(&side->received) == strlen(text) && bytes_equal(front, bytes_from_text(text));
}

static bool hung_up(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* --- connections --- */

ENGINE_TEST(echoes_whatever_the_split)
{
    struct side side = {.echo = true};
    int peer = open_pair(&side, &quiet_events);
    size_t len = 3000, at = 0;
    uint8_t *all = pattern(len);
    for (size_t from = 0, piece = 1; from < len; from += piece, piece = piece % 97 + 1) {
        size_t n = piece < len - from ? piece : len - from;
        cr_assert_eq(send(peer, all + from, n, 0), (ssize_t)n);
        loop_turn(loop, 5);
    }
    bool ended = false;
    turn_until((at = read_pattern(peer, at, SIZE_MAX, &ended)) == len);
    cr_assert_not(ended);
    turn_until(conn_unsent(side.conn) == 0);
    free(all);
}

ENGINE_TEST(large_output_reaches_a_slow_reader_and_drains_once)
{
    struct side side = {0};
    int peer = open_pair(&side, &draining_events);
    size_t len = 8u << 20, at = 0;
    uint8_t *all = pattern(len);
    write_out(side.conn, all, len);
    bool ended = false;
    turn_until((at = read_pattern(peer, at, 7001, &ended)) > 100000);
    cr_assert_eq(side.drained_calls, 0);
    cr_assert_gt(conn_unsent(side.conn), 0);
    turn_until((at = read_pattern(peer, at, SIZE_MAX, &ended)) == len);
    turn_until(side.drained_calls == 1);

    write_out(side.conn, all, 10);
    at = 0;
    turn_until((at = read_pattern(peer, at, SIZE_MAX, &ended)) == 10 && side.drained_calls == 2);
    conn_flush(side.conn);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    cr_assert_eq(side.drained_calls, 2, "nothing was sent, nothing has drained");
    free(all);
}

ENGINE_TEST(output_written_while_the_socket_is_full_follows_in_order)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    size_t len = 4u << 20, written = 0, at = 0;
    uint8_t *all = pattern(len);
    bool ended = false;
    while (written < len) {
        size_t n = 50000 < len - written ? 50000 : len - written;
        write_out(side.conn, all + written, n);
        written += n;
        loop_turn(loop, 0);
        at = read_pattern(peer, at, 20000, &ended);
    }
    turn_until((at = read_pattern(peer, at, SIZE_MAX, &ended)) == len);
    turn_until(conn_unsent(side.conn) == 0);
    free(all);
}

ENGINE_TEST(data_comes_before_the_end_and_replies_still_leave)
{
    struct side side = {.echo = true};
    int peer = open_pair(&side, &quiet_events);
    cr_assert_eq(send(peer, "PING", 4, 0), 4);
    shutdown(peer, SHUT_WR);
    turn_until(side.closed_calls == 1);
    cr_assert_eq(side.error, 0);
    cr_assert(received_is(&side, "PING"));
    char reply[8];
    cr_assert_eq(recv(peer, reply, sizeof(reply), 0), 4);
    cr_assert_arr_eq(reply, "PING", 4);
    turn_until(hung_up(peer));
}

ENGINE_TEST(a_vanished_peer_ends_the_connection_once)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    close(peer);
    turn_until(side.closed_calls == 1);
    for (int i = 0; i < 5; i++) loop_turn(loop, 0);
    cr_assert_eq(side.closed_calls, 1);
}

ENGINE_TEST(a_peer_that_vanishes_under_large_output_ends_the_connection)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    size_t len = 8u << 20;
    uint8_t *all = pattern(len);
    write_out(side.conn, all, len);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    close(peer);
    turn_until(side.closed_calls == 1);
    free(all);
}

ENGINE_TEST(close_after_flush_delivers_everything)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    size_t len = 2u << 20, at = 0;
    uint8_t *all = pattern(len);
    write_out(side.conn, all, len);
    conn_close_after_flush(side.conn);
    cr_assert_eq(send(peer, "ignored", 7, 0), 7);
    bool ended = false;
    turn_until((at = read_pattern(peer, at, 100000, &ended), ended));
    cr_assert_eq(at, len);
    cr_assert_eq(side.data_calls, 0);
    cr_assert_eq(side.closed_calls, 0, "the owner asked for it and hears nothing");
    free(all);
}

ENGINE_TEST(close_after_flush_of_nothing_closes)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    conn_close_after_flush(side.conn);
    turn_until(hung_up(peer));
    cr_assert_eq(side.closed_calls, 0);
}

static struct side *victim;

static void close_both(struct side *side)
{
    if (victim->conn) conn_close(victim->conn);
    victim->conn = NULL;
    conn_close(side->conn);
    side->conn = NULL;
}

ENGINE_TEST(connections_close_each_other_inside_callbacks)
{
    struct side sides[20] = {0};
    int peers[20];
    for (int i = 0; i < 20; i++) {
        peers[i] = open_pair(&sides[i], &quiet_events);
        cr_assert_eq(send(peers[i], "x", 1, 0), 1);
    }
    victim = &sides[19];
    for (int i = 0; i < 19; i++) sides[i].on_data = close_both;
    for (int i = 0; i < 19; i++) turn_until(hung_up(peers[i]));
    for (int i = 0; i < 20; i++) cr_assert_eq(sides[i].closed_calls, 0);
    cr_assert_leq(victim->data_calls, 1);
    turn_until(hung_up(peers[19]));
}

ENGINE_TEST(closing_with_sends_in_flight_is_clean)
{
    size_t len = 1u << 20;
    uint8_t *all = pattern(len);
    for (int round = 0; round < 20; round++) {
        struct side side = {0};
        int peer = open_pair(&side, round & 1 ? &quiet_events : &draining_events);
        write_out(side.conn, all, len);
        for (int turns = round % 4; turns > 0; turns--) loop_turn(loop, 0);
        conn_close(side.conn);
        size_t at = 0;
        bool ended = false;
        turn_until((at = read_pattern(peer, at, SIZE_MAX, &ended), ended));
        cr_assert_lt(at, len);
        close(peer);
    }
    free(all);
}

static int nested_peer, other_peer;
static struct side *other;

static void turn_inside(struct side *side)
{
    if (side->data_calls > 1) return;
    cr_assert_eq(send(nested_peer, "b", 1, 0), 1);
    cr_assert_eq(send(other_peer, "o", 1, 0), 1);
    turn_until(received_is(other, "o"));
    for (int i = 0; i < 3; i++) loop_turn(loop, 0);
    cr_assert_eq(side->data_calls, 1, "called again inside its own callback");
}

ENGINE_TEST(a_turn_inside_a_callback_serves_the_others_only)
{
    struct side inner = {.on_data = turn_inside}, outer = {0};
    nested_peer = open_pair(&inner, &quiet_events);
    other_peer = open_pair(&outer, &quiet_events);
    other = &outer;
    cr_assert_eq(send(nested_peer, "a", 1, 0), 1);
    turn_until(received_is(&inner, "ab"));
    cr_assert_eq(inner.data_calls, 2);
}

ENGINE_TEST(an_endless_sender_does_not_starve_the_others)
{
    struct side greedy = {0}, modest = {0};
    int greedy_peer = open_pair(&greedy, &quiet_events), modest_peer = open_pair(&modest, &quiet_events);
    uint8_t *noise = pattern(256 * 1024);
    cr_assert_eq(send(modest_peer, "m", 1, 0), 1);
    for (int turns = 0; !received_is(&modest, "m"); turns++) {
        cr_assert_lt(turns, 10);
        while (send(greedy_peer, noise, 256 * 1024, MSG_DONTWAIT) > 0) continue;
        loop_turn(loop, 0);
        outq_clear(&greedy.received);
    }
    free(noise);
}

/* --- in place --- */

ENGINE_TEST(in_place_bytes_go_between_earlier_and_later_output)
{
    struct side side = {0};
    int peer = open_pair(&side, &draining_events);
    size_t len = 3u << 20, first = 40000, last = 30000, at = 0;
    uint8_t *all = pattern(len);
    write_out(side.conn, all, first);
    conn_send_in_place(side.conn, all + first, len - first - last);
    write_out(side.conn, all + len - last, last);
    cr_assert_eq(conn_unsent(side.conn), len);
    cr_assert_eq(conn_in_place_left(side.conn), len - first - last);
    bool ended = false;
    size_t before = len;
    while (at < len) {
        loop_turn(loop, 1);
        at = read_pattern(peer, at, SIZE_MAX, &ended);
        cr_assert_leq(conn_in_place_left(side.conn), before);
        before = conn_in_place_left(side.conn);
    }
    turn_until(side.drained_calls == 1);
    cr_assert_eq(conn_in_place_left(side.conn), 0);
    free(all);
}

static uint8_t *ring;
static size_t ring_at;

static void send_next_piece(struct side *side)
{
    size_t n = 5000;
    if (ring_at == 50 * n) return;
    conn_send_in_place(side->conn, ring + ring_at, n);
    ring_at += n;
}

ENGINE_TEST(drained_may_send_the_next_in_place)
{
    struct side side = {.on_drained = send_next_piece};
    int peer = open_pair(&side, &draining_events);
    ring = pattern(250000);
    ring_at = 0;
    send_next_piece(&side);
    size_t at = 0;
    bool ended = false;
    turn_until((at = read_pattern(peer, at, SIZE_MAX, &ended)) == 250000);
    turn_until(side.drained_calls == 50);
    free(ring);
}

ENGINE_TEST(foreign_memory_is_not_read_after_close)
{
    struct side side = {0};
    int peer = open_pair(&side, &draining_events);
    size_t len = 1u << 20, at = 0;
    uint8_t *all = pattern(len);
    conn_send_in_place(side.conn, all, len);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    conn_close(side.conn);
    memset(all, 0xee, len);
    bool ended = false;
    turn_until((at = read_pattern(peer, at, SIZE_MAX, &ended), ended));
    free(all);
}

/* --- detaching --- */

struct handover {
    int calls, fd;
    struct outq rest;
};

static void take_over(void *arg, int fd, const uint8_t *rest, size_t len)
{
    struct handover *handover = arg;
    handover->calls++;
    handover->fd = fd;
    outq_append(&handover->rest, rest, len);
}

static struct handover handover;

static void detach(struct side *side)
{
    conn_detach(side->conn, take_over, &handover);
    side->conn = NULL;
}

/* Whatever the peer sends around the moment of the detach arrives once: in data, in rest, or on the descriptor. */
ENGINE_TEST(detaching_with_data_in_flight_loses_nothing)
{
    size_t len = 100000;
    uint8_t *all = pattern(len);
    for (size_t split = 1; split < 8; split++) {
        struct side side = {.on_data = detach};
        int peer = open_pair(&side, &quiet_events);
        handover = (struct handover){0};
        size_t sent = 0;
        turn_until(({
            ssize_t n = sent < len ? send(peer, all + sent, len - sent < 997 * split ? len - sent : 997 * split, 0) : 0;
            if (n > 0) sent += (size_t)n;
            handover.calls;
        }));
        cr_assert_eq(handover.calls, 1);
        cr_assert_geq(handover.fd, 0);
        cr_assert_eq(side.data_calls, 1);
        cr_assert_eq(side.closed_calls, 0);
        struct outq got = side.received;
        outq_move(&got, &handover.rest);
        while (outq_pending(&got) < len) {
            uint8_t buffer[8192];
            ssize_t n = recv(handover.fd, buffer, sizeof(buffer), MSG_DONTWAIT);
            if (n > 0) outq_append(&got, buffer, (size_t)n);
            n = sent < len ? send(peer, all + sent, len - sent, 0) : 0;
            if (n > 0) sent += (size_t)n;
        }
        for (size_t at = 0; at < len; at++) {
            cr_assert_eq(*outq_front(&got).ptr, pattern_at(at));
            outq_consume(&got, 1);
        }
        cr_assert(outq_empty(&got));
        close(handover.fd);
        close(peer);
    }
    free(all);
}

ENGINE_TEST(detaching_flushes_output_first)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    handover = (struct handover){0};
    size_t len = 1u << 20, at = 0;
    uint8_t *all = pattern(len);
    write_out(side.conn, all, len);
    detach(&side);
    cr_assert_eq(handover.calls, 0, "never inside the call");
    bool ended = false;
    turn_until((at = read_pattern(peer, at, 50000, &ended)) > len / 2);
    cr_assert_eq(handover.calls, 0);
    turn_until((at = read_pattern(peer, at, SIZE_MAX, &ended)) == len);
    turn_until(handover.calls == 1);
    cr_assert_geq(handover.fd, 0);
    cr_assert_not(ended);
    cr_assert_eq(send(handover.fd, "z", 1, 0), 1);
    char byte;
    cr_assert_eq(recv(peer, &byte, 1, 0), 1);
    close(handover.fd);
    free(all);
}

ENGINE_TEST(detaching_from_a_dead_peer_says_so)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    handover = (struct handover){0};
    size_t len = 4u << 20;
    uint8_t *all = pattern(len);
    write_out(side.conn, all, len);
    detach(&side);
    loop_turn(loop, 0);
    close(peer);
    turn_until(handover.calls == 1);
    cr_assert_eq(handover.fd, -1);
    cr_assert_eq(side.closed_calls, 0);
    free(all);
}

/* --- timers --- */

static char fired[64];
static struct loop_timer *doomed;

static int64_t note(void *arg)
{
    strncat(fired, arg, 1);
    return LOOP_TIMER_DONE;
}

static int64_t note_and_cancel(void *arg)
{
    loop_timer_cancel(doomed);
    return note(arg);
}

static int64_t note_twice(void *arg)
{
    note(arg);
    return strlen(fired) < 6 ? 0 : LOOP_TIMER_DONE;
}

ENGINE_TEST(timers_fire_in_order_and_can_be_cancelled)
{
    fired[0] = '\0';
    loop_timer_start(loop, 30, note, "d");
    doomed = loop_timer_start(loop, 20, note, "x");
    loop_timer_start(loop, 10, note_and_cancel, "b");
    loop_timer_start(loop, 0, note, "a");
    loop_timer_start(loop, 10, note, "c");
    struct loop_timer *never = loop_timer_start(loop, 5, note, "y");
    loop_timer_cancel(never);
    int64_t start_us = loop_monotonic_us(loop);
    turn_until(strlen(fired) == 4);
    cr_assert_str_eq(fired, "abcd");
    cr_assert_geq(clock_monotonic_us() - start_us, 29000);
    loop_timer_start(loop, 1, note_twice, "e");
    turn_until(strlen(fired) == 6);
    loop_turn(loop, 0);
    cr_assert_str_eq(fired, "abcdee");
}

static int64_t last_due_ms;

static int64_t in_order(void *arg)
{
    cr_assert_leq(last_due_ms, (int64_t)(intptr_t)arg);
    last_due_ms = (int64_t)(intptr_t)arg;
    return LOOP_TIMER_DONE;
}

ENGINE_TEST(many_timers_stay_in_order)
{
    struct loop_timer *timers[300];
    last_due_ms = -1;
    for (int i = 0; i < 300; i++) {
        int64_t delay_ms = i * 7919 % 41;
        timers[i] = loop_timer_start(loop, delay_ms, in_order, (void *)(intptr_t)delay_ms);
    }
    for (int i = 0; i < 300; i += 3) loop_timer_cancel(timers[i]);
    turn_until(last_due_ms == 40);
}

ENGINE_TEST(a_wait_lasts_until_the_next_timer)
{
    fired[0] = '\0';
    loop_timer_start(loop, 20, note, "t");
    int turns = 0;
    while (fired[0] == '\0') {
        loop_turn(loop, -1);
        turns++;
    }
    cr_assert_leq(turns, 3);
    int64_t before_us = clock_monotonic_us();
    loop_do_not_wait(loop);
    loop_turn(loop, 10000);
    cr_assert_lt(clock_monotonic_us() - before_us, 5000000);
}

/* --- watches --- */

struct watcher {
    struct loop_watch *watch;
    int fd, calls, events;
    bool stop_at_once;
};

static void watch_ready(void *arg, int events)
{
    struct watcher *watcher = arg;
    watcher->calls++;
    watcher->events = events;
    if (watcher->stop_at_once) loop_watch_stop(watcher->watch);
}

ENGINE_TEST(watches_are_level_triggered)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    struct watcher reader = {.fd = ends[0]};
    reader.watch = loop_watch_start(loop, ends[0], LOOP_READABLE, watch_ready, &reader);
    for (int i = 0; i < 3; i++) loop_turn(loop, 0);
    cr_assert_eq(reader.calls, 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    turn_until(reader.calls == 3);
    cr_assert_eq(reader.events, LOOP_READABLE);

    loop_watch_set(reader.watch, 0);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    int calls = reader.calls;
    for (int i = 0; i < 3; i++) loop_turn(loop, 0);
    cr_assert_eq(reader.calls, calls);
    loop_watch_set(reader.watch, LOOP_READABLE);
    turn_until(reader.calls == calls + 1);

    char byte;
    cr_assert_eq(read(ends[0], &byte, 1), 1);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    calls = reader.calls;
    for (int i = 0; i < 3; i++) loop_turn(loop, 0);
    cr_assert_eq(reader.calls, calls);
    close(ends[1]);
    turn_until(reader.calls > calls);
    loop_watch_stop(reader.watch);
    calls = reader.calls;
    for (int i = 0; i < 3; i++) loop_turn(loop, 0);
    cr_assert_eq(reader.calls, calls);
}

ENGINE_TEST(a_watch_may_stop_itself_and_change_its_mind)
{
    int pair[2];
    cr_assert_eq(fdpass_pair(pair), 0);
    struct watcher writer = {.fd = pair[0]};
    writer.watch = loop_watch_start(loop, pair[0], LOOP_READABLE, watch_ready, &writer);
    loop_turn(loop, 0);
    loop_watch_set(writer.watch, LOOP_READABLE | LOOP_WRITABLE);
    turn_until(writer.calls > 0);
    cr_assert_eq(writer.events, LOOP_WRITABLE);
    writer.stop_at_once = true;
    int calls = writer.calls;
    turn_until(writer.calls == calls + 1);
    close(pair[0]);
    for (int i = 0; i < 3; i++) loop_turn(loop, 0);
    cr_assert_eq(writer.calls, calls + 1);
}

/* --- connecting and listening --- */

static struct side served[1100];
static int served_count;

static void serve(void *arg, int fd)
{
    (void)arg;
    struct side *side = &served[served_count++];
    side->echo = true;
    side->conn = conn_open(loop, fd, &quiet_events, side);
}

static struct listener *listen_somewhere(struct address *at)
{
    served_count = 0;
    struct listener *listener = listener_tcp(loop, "127.0.0.1", 0, 511, serve, NULL);
    cr_assert_not_null(listener);
    *at = *listener_address(listener);
    cr_assert_gt(address_port(at), 0);
    return listener;
}

ENGINE_TEST(connects_over_tcp_and_talks)
{
    struct address at, source, seen;
    struct side side = {0};
    char text[ADDRESS_TEXT_MAX], expected[ADDRESS_TEXT_MAX];
    listen_somewhere(&at);
    cr_assert_eq(address_parse(&source, "127.0.0.1", 0), 0);
    side.conn = conn_connect(loop, &at, &source, &quiet_events, &side);
    cr_assert_eq(side.connected_calls, 0, "never inside the call");
    outq_append(conn_output(side.conn), "hello", 5);
    conn_flush(side.conn);
    turn_until(received_is(&side, "hello"));
    cr_assert_eq(side.connected_calls, 1);
    cr_assert_eq(side.error, 0);

    conn_peer_address(side.conn, &seen);
    snprintf(expected, sizeof(expected), "127.0.0.1:%d", address_port(&at));
    address_text(&seen, text);
    cr_assert_str_eq(text, expected);
    cr_assert(address_is_loopback(&seen));
    conn_set_nodelay(side.conn, true);
    conn_set_keepalive(side.conn, 300);
    int value = 0;
    socklen_t len = sizeof(value);
    cr_assert_eq(getsockopt(conn_fd(side.conn), SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
    cr_assert_eq(value, 1);
    conn_close(served[0].conn);
    turn_until(side.closed_calls == 1);
}

ENGINE_TEST(a_refused_connection_is_reported)
{
    struct address at;
    struct side side = {0};
    struct listener *listener = listen_somewhere(&at);
    listener_close(listener);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    side.conn = conn_connect(loop, &at, NULL, &quiet_events, &side);
    cr_assert_not_null(side.conn);
    turn_until(side.connected_calls == 1);
    cr_assert_eq(side.error, ECONNREFUSED);
    loop_turn(loop, 0);
    cr_assert_eq(side.closed_calls, 0);
}

ENGINE_TEST(a_connection_attempt_can_be_given_up)
{
    struct address at;
    struct side side = {0};
    listen_somewhere(&at);
    side.conn = conn_connect(loop, &at, NULL, &quiet_events, &side);
    conn_close(side.conn);
    for (int i = 0; i < 5; i++) loop_turn(loop, 1);
    cr_assert_eq(side.connected_calls + side.closed_calls, 0);
}

ENGINE_TEST(a_closed_listener_frees_its_port_at_once)
{
    struct address at;
    struct listener *listener = listen_somewhere(&at);
    loop_turn(loop, 0);
    listener_close(listener);
    listener = listener_tcp(loop, "127.0.0.1", address_port(&at), 511, serve, NULL);
    cr_assert_not_null(listener, "%s", strerror(errno));
    cr_assert_null(listener_tcp(loop, "127.0.0.1", address_port(&at), 511, serve, NULL));
    cr_assert_eq(errno, EADDRINUSE);
    cr_assert_null(listener_tcp(loop, "not an address", 0, 511, serve, NULL));
}

ENGINE_TEST(serves_a_unix_socket)
{
    struct address at, seen;
    struct side side = {0};
    char path[64], text[ADDRESS_TEXT_MAX], expected[ADDRESS_TEXT_MAX];
    snprintf(path, sizeof(path), "/tmp/slipstream-test-%d.sock", (int)getpid());
    served_count = 0;
    for (int again = 0; again < 2; again++) {
        struct listener *listener = listener_unix(loop, path, 0700, 16, serve, NULL);
        cr_assert_not_null(listener, "a stale file is in nobody's way");
        if (again == 0) listener_close(listener);
    }
    cr_assert_eq(address_unix(&at, path), 0);
    side.conn = conn_connect(loop, &at, NULL, &quiet_events, &side);
    write_out(side.conn, "x", 1);
    turn_until(received_is(&side, "x"));
    conn_peer_address(served[0].conn, &seen);
    address_text(&seen, text);
    snprintf(expected, sizeof(expected), "%s:0", path);
    cr_assert_str_eq(text, expected);
    unlink(path);
}

ENGINE_TEST(serves_a_thousand_connections)
{
    enum { CLIENTS = 1000 };
    static struct side clients[CLIENTS];
    struct address at;
    struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
    setrlimit(RLIMIT_NOFILE, &limit);
    listen_somewhere(&at);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].conn = conn_connect(loop, &at, NULL, &quiet_events, &clients[i]);
        write_out(clients[i].conn, "first", 5);
        if (i % 100 == 0) loop_turn(loop, 0);
    }
    int done = 0;
    turn_until(({
        for (done = 0; done < CLIENTS && received_is(&clients[done], "first"); done++) continue;
        done == CLIENTS;
    }));
    cr_assert_eq(served_count, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) write_out(clients[i].conn, "+", 1);
    turn_until(({
        for (done = 0; done < CLIENTS && received_is(&clients[done], "first+"); done++) continue;
        done == CLIENTS;
    }));
    for (int i = 0; i < CLIENTS; i++) conn_close(clients[i].conn);
    turn_until(({
        for (done = 0; done < CLIENTS && served[done].closed_calls == 1; done++) continue;
        done == CLIENTS;
    }));
}

ENGINE_TEST(accepting_survives_a_lack_of_descriptors)
{
    enum { ROOM = 40 };
    struct address at;
    int fillers[ROOM], used = 0, turns = 0;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Before listening: io_uring keeps to the limit that was in force when the accept began. */
    struct rlimit limit = {.rlim_cur = (rlim_t)client + ROOM, .rlim_max = (rlim_t)client + ROOM};
    setrlimit(RLIMIT_NOFILE, &limit);
    listen_somewhere(&at);
    loop_turn(loop, 0);
    while ((fillers[used] = dup(client)) >= 0) used++;
    cr_assert(connect(client, (struct sockaddr *)&at.storage, at.len) == 0 || errno == EINPROGRESS);
    for (int64_t until_ms = clock_monotonic_ms() + 250; clock_monotonic_ms() < until_ms; turns++) loop_turn(loop, 50);
    cr_assert_eq(served_count, 0);
    cr_assert_lt(turns, 30, "it spins");
    close(fillers[0]);
    turn_until(served_count == 1);
}

/* --- the loop --- */

static int sleeps;

static void count_sleeps(void *arg)
{
    (void)arg;
    sleeps++;
    if (sleeps == 3) loop_stop(loop);
    loop_do_not_wait(loop);
}

ENGINE_TEST(runs_until_stopped_and_sends_the_last_words)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    sleeps = 0;
    loop_set_before_sleep(loop, count_sleeps, NULL);
    loop_do_not_wait(loop);
    write_out(side.conn, "bye", 3);
    loop_run(loop);
    cr_assert_eq(sleeps, 3);
    write_out(side.conn, "!", 1);
    loop_stop(loop);
    loop_run(loop);
    char text[8];
    cr_assert_eq(recv(peer, text, sizeof(text), 0), 4);
}

ENGINE_TEST(an_abandoning_child_disturbs_nothing)
{
    struct address at;
    struct side side = {.echo = true};
    listen_somewhere(&at);
    int peer = open_pair(&side, &quiet_events);
    loop_turn(loop, 0);
    write_out(side.conn, "a", 1);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        int fd = conn_fd(side.conn);
        loop_abandon_in_child(loop);
        _exit(fcntl(fd, F_GETFD) == -1 ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_assert_eq(send(peer, "b", 1, 0), 1);
    char text[2] = "";
    size_t at_byte = 0;
    turn_until(({
        ssize_t n = recv(peer, text + at_byte, sizeof(text) - at_byte, MSG_DONTWAIT);
        if (n > 0) at_byte += (size_t)n;
        at_byte == sizeof(text);
    }));
    cr_assert_arr_eq(text, "ab", 2);
    struct side client = {0};
    client.conn = conn_connect(loop, &at, NULL, &quiet_events, &client);
    write_out(client.conn, "c", 1);
    turn_until(received_is(&client, "c"));
}

/* --- descriptor passing and addresses: no loop, no engine --- */

Test(net_fdpass, passes_messages_with_descriptors)
{
    int channel[2], ends[2], fds[FDPASS_MAX_FDS], count = FDPASS_MAX_FDS;
    char message[64];
    cr_assert_eq(fdpass_pair(channel), 0);
    cr_assert_eq(fdpass_receive(channel[1], message, sizeof(message), fds, &count), -1);
    cr_assert_eq(errno, EAGAIN);
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(fdpass_send(channel[0], "two", 3, ends, 2), 0);
    cr_assert_eq(fdpass_send(channel[0], "none", 4, NULL, 0), 0);

    count = FDPASS_MAX_FDS;
    cr_assert_eq(fdpass_receive(channel[1], message, sizeof(message), fds, &count), 3);
    cr_assert_arr_eq(message, "two", 3);
    cr_assert_eq(count, 2);
    cr_assert(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(write(fds[1], "x", 1), 1);
    cr_assert_eq(read(ends[0], message, 1), 1);

    count = FDPASS_MAX_FDS;
    cr_assert_eq(fdpass_receive(channel[1], message, sizeof(message), fds, &count), 4);
    cr_assert_eq(count, 0);

    cr_assert_eq(fdpass_send(channel[0], "too long", 8, ends, 1), 0);
    count = FDPASS_MAX_FDS;
    cr_assert_eq(fdpass_receive(channel[1], message, 3, fds, &count), -1);
    cr_assert_eq(errno, EMSGSIZE);
    while (fdpass_send(channel[0], message, sizeof(message), NULL, 0) == 0) continue;
    cr_assert_eq(errno, EAGAIN);
    close(channel[1]);
    cr_assert_eq(fdpass_send(channel[0], "x", 1, NULL, 0), -1);
}

Test(net_fdpass, tells_the_end_of_the_other_side)
{
    int channel[2], fds[1], count = 1;
    char byte;
    cr_assert_eq(fdpass_pair(channel), 0);
    close(channel[0]);
    cr_assert_eq(fdpass_receive(channel[1], &byte, 1, fds, &count), 0);
}

static void expect_text(const char *ip, int port, const char *ip_text, const char *text, bool loopback)
{
    struct address a;
    char out[ADDRESS_TEXT_MAX];
    cr_assert_eq(address_parse(&a, ip, port), 0, "%s", ip);
    address_ip_text(&a, out);
    cr_assert_str_eq(out, ip_text);
    address_text(&a, out);
    cr_assert_str_eq(out, text);
    cr_assert_eq(address_port(&a), port);
    cr_assert_eq(address_is_loopback(&a), loopback, "%s", ip);
}

Test(net_address, reads_and_writes_addresses)
{
    expect_text("127.0.0.1", 6379, "127.0.0.1", "127.0.0.1:6379", true);
    expect_text("127.9.9.9", 0, "127.9.9.9", "127.9.9.9:0", true);
    expect_text("10.0.0.1", 65535, "10.0.0.1", "10.0.0.1:65535", false);
    expect_text("::1", 6379, "::1", "[::1]:6379", true);
    expect_text("2001:db8::1", 1, "2001:db8::1", "[2001:db8::1]:1", false);
    expect_text("::ffff:127.0.0.1", 1, "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:1", true);

    static const char *const wrong[] = {"", "localhost", "1.2.3", "1.2.3.4.5", "::g", "[::1]", "1.2.3.4 "};
    struct address a;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) cr_assert_eq(address_parse(&a, wrong[i], 1), -1);
    cr_assert_eq(address_parse(&a, "127.0.0.1", 65536), -1);
    cr_assert_eq(address_parse(&a, "127.0.0.1", -1), -1);
}

Test(net_address, knows_unix_paths)
{
    struct address a;
    char out[ADDRESS_TEXT_MAX], path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    cr_assert_eq(address_unix(&a, "/tmp/s"), 0);
    address_text(&a, out);
    cr_assert_str_eq(out, "/tmp/s:0");
    cr_assert(address_is_loopback(&a));
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    cr_assert_eq(address_unix(&a, path), -1);
    path[sizeof(path) - 2] = '\0';
    cr_assert_eq(address_unix(&a, path), 0);
    address_text(&a, out);
    cr_assert_eq(strlen(out), strlen(path) + 2);
    a.len = 0;
    address_text(&a, out);
    cr_assert_str_eq(out, "?:0");
}
