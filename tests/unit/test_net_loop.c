/* The event loop, on both engines: timers, watches, connecting and listening, and its turns. */
#include "tests/unit/test_net_on_loop.h"

#include <sys/eventfd.h>

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

ENGINE_TEST(a_wait_gathers_input_for_a_while)
{
    struct side sides[2] = {0};
    int peers[2];
    for (int i = 0; i < 2; i++) peers[i] = open_pair(&sides[i], &quiet_events);
    loop_turn(loop, 0);
    cr_assert_eq(write(peers[0], "x", 1), 1);
    int64_t before_us = clock_monotonic_us();
    loop_gather(loop, 100, 20000);
    loop_turn(loop, 10000);
    cr_assert_geq(clock_monotonic_us() - before_us, 20000);
    cr_assert_eq(sides[0].data_calls, 1);
    cr_assert_eq(write(peers[1], "x", 1), 1);
    loop_turn(loop, -1);
    cr_assert_eq(sides[1].data_calls, 1, "the next wait is one like others");
}

ENGINE_TEST(no_timer_waits_for_input_that_is_gathered)
{
    fired[0] = '\0';
    loop_timer_start(loop, 20, note, "t");
    loop_gather(loop, 100, INT64_C(3600) * 1000000);
    turn_until(fired[0]);
}

ENGINE_TEST(a_wait_that_gathers_ends_with_the_last_piece)
{
    struct side sides[2] = {0};
    int peers[2];
    if (strcmp(loop_engine_name(loop), "io_uring") != 0) return;
    for (int i = 0; i < 2; i++) peers[i] = open_pair(&sides[i], &quiet_events);
    loop_turn(loop, 0);
    for (int i = 0; i < 2; i++) cr_assert_eq(write(peers[i], "x", 1), 1);
    loop_gather(loop, 2, INT64_C(3600) * 1000000);
    loop_turn(loop, -1);
    for (int i = 0; i < 2; i++) cr_assert_eq(sides[i].data_calls, 1);
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

/* Whatever is read or not: each time something comes, and at the beginning for what is there. */
ENGINE_TEST(a_watch_for_edges_tells_what_comes_and_nothing_twice)
{
    const uint64_t one = 1;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct watcher reader = {.fd = fd};
    cr_assert_eq(write(fd, &one, sizeof one), sizeof one);
    reader.watch = loop_watch_start(loop, fd, LOOP_READABLE | LOOP_EDGE, watch_ready, &reader);
    turn_until(reader.calls == 1);
    for (int times = 2; times < 5; times++) {
        for (int i = 0; i < 3; i++) loop_turn(loop, 0);
        cr_assert_eq(reader.calls, times - 1);
        cr_assert_eq(write(fd, &one, sizeof one), sizeof one);
        turn_until(reader.calls == times);
        cr_assert_eq(reader.events, LOOP_READABLE);
    }
    loop_watch_stop(reader.watch);
    cr_assert_eq(write(fd, &one, sizeof one), sizeof one);
    for (int i = 0; i < 3; i++) loop_turn(loop, 0);
    cr_assert_eq(reader.calls, 4);
    close(fd);
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
    cr_assert_eq(address_parse(at, "127.0.0.1", 0), 0);
    struct listener *listener = listener_tcp(loop, at, 511, serve, NULL);
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
    listener = listener_tcp(loop, &at, 511, serve, NULL);
    cr_assert_not_null(listener, "%s", strerror(errno));
    cr_assert_null(listener_tcp(loop, &at, 511, serve, NULL));
    cr_assert_eq(errno, EADDRINUSE);
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
    loop_set_before_send(loop, count_sleeps, NULL);
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

/* --- much output in one turn --- */

#define PLENTY ((size_t)1 << 20)

static struct talker {
    struct side side;
    int peer;
} talkers[2];
static uint8_t *plenty;
static int hooks, sent_early;

static void count_hooks(void *arg)
{
    (void)arg;
    hooks++;
}

static void talk(struct side *side)
{
    struct pollfd other = {.fd = talkers[side == &talkers[0].side].peer, .events = POLLIN};
    if (poll(&other, 1, 0) == 1) sent_early += hooks; /* the hook has come first */
    write_out(side->conn, plenty, PLENTY);
}

ENGINE_TEST(much_output_leaves_before_the_turn_ends)
{
    plenty = pattern(PLENTY);
    for (int i = 0; i < 2; i++) {
        talkers[i].side.on_data = talk;
        talkers[i].peer = open_pair(&talkers[i].side, &quiet_events);
    }
    loop_turn(loop, 0);
    loop_set_before_send(loop, count_hooks, NULL);
    for (int i = 0; i < 2; i++) cr_assert_eq(send(talkers[i].peer, "!", 1, 0), 1);
    loop_turn(loop, 100);
    cr_assert_eq(talkers[0].side.data_calls + talkers[1].side.data_calls, 2);
    cr_assert_eq(sent_early, 1);
    bool ended = false;
    for (int i = 0; i < 2; i++) {
        size_t at = 0;
        turn_until((at = read_pattern(talkers[i].peer, at, SIZE_MAX, &ended)) == PLENTY);
    }
    free(plenty);
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
