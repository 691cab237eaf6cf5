/* net/hold.h, on both engines: what leaves when marks pass, for connections that go on writing,
 * close or are detached. */
#include "server/net/hold.h"

#include "tests/unit/test_net_on_loop.h"

static uint64_t mark, passed;

static void before_send(void *arg)
{
    (void)arg;
    loop_hold_mark(loop, mark, passed);
}

static void begin(void)
{
    mark = 10;
    passed = 0;
    loop_set_before_send(loop, before_send, NULL);
    loop_hold_output(loop, true);
}

static void some_turns(void)
{
    for (int i = 0; i < 5; i++) loop_turn(loop, 0);
}

static bool can_read(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void expect_text(int fd, const char *text)
{
    char got[64] = "";
    turn_until(recv(fd, got, sizeof got - 1, MSG_PEEK | MSG_DONTWAIT) >= (ssize_t)strlen(text));
    ssize_t n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
    got[n > 0 ? n : 0] = '\0';
    cr_assert_str_eq(got, text);
}

ENGINE_TEST(nothing_leaves_before_its_mark)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    begin();
    write_out(side.conn, "one", 3);
    some_turns();
    cr_assert_not(can_read(peer));
    cr_assert_eq(loop_hold_next_mark(loop), 10);
    passed = 9;
    some_turns();
    cr_assert_not(can_read(peer));
    passed = 10;
    expect_text(peer, "one");
    cr_assert_eq(loop_hold_next_mark(loop), 0);
}

ENGINE_TEST(a_mark_that_has_passed_holds_nothing)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    begin();
    passed = 10;
    write_out(side.conn, "now", 3);
    expect_text(peer, "now");
}

/* What is written behind marked output waits for the mark of the moment when that leaves, and no longer. */
ENGINE_TEST(who_goes_on_writing_is_not_kept_for_ever)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    begin();
    write_out(side.conn, "a", 1);
    some_turns();
    for (mark = 11; mark < 20; mark++) {
        write_out(side.conn, "b", 1);
        loop_turn(loop, 0);
    }
    passed = 10;
    expect_text(peer, "a");
    some_turns();
    cr_assert_not(can_read(peer));
    cr_assert_eq(loop_hold_next_mark(loop), 20);
    passed = 20;
    expect_text(peer, "bbbbbbbbb");
}

ENGINE_TEST(each_connection_has_its_own_mark)
{
    struct side first = {0}, second = {0};
    int one = open_pair(&first, &quiet_events), two = open_pair(&second, &quiet_events);
    begin();
    write_out(first.conn, "1", 1);
    loop_turn(loop, 0);
    mark = 12;
    write_out(second.conn, "2", 1);
    loop_turn(loop, 0);
    passed = 11;
    expect_text(one, "1");
    some_turns();
    cr_assert_not(can_read(two));
    passed = 12;
    expect_text(two, "2");
}

ENGINE_TEST(much_output_leaves_whole_to_a_slow_reader)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    size_t len = 4u << 20, at = 0, written = 0;
    uint8_t *all = pattern(len);
    bool ended = false;
    begin();
    while (written < len) {
        size_t n = 50000 < len - written ? 50000 : len - written;
        write_out(side.conn, all + written, n);
        written += n;
        passed = mark++;
        loop_turn(loop, 0);
        at = read_pattern(peer, at, 20000, &ended);
    }
    turn_until((passed = mark, at = read_pattern(peer, at, SIZE_MAX, &ended)) == len);
    turn_until(conn_unsent(side.conn) == 0);
    free(all);
}

ENGINE_TEST(a_connection_closed_behind_its_output_waits_for_it)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    begin();
    write_out(side.conn, "last", 4);
    conn_close_after_flush(side.conn);
    some_turns();
    cr_assert_not(can_read(peer));
    cr_assert_not(hung_up(peer));
    passed = 10;
    expect_text(peer, "last");
    turn_until(hung_up(peer));
}

ENGINE_TEST(a_peer_that_has_ended_its_side_gets_what_it_is_owed)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    begin();
    write_out(side.conn, "owed", 4);
    shutdown(peer, SHUT_WR);
    some_turns();
    cr_assert_eq(side.closed_calls, 0);
    passed = 10;
    expect_text(peer, "owed");
    turn_until(side.closed_calls == 1);
}

ENGINE_TEST(a_connection_that_goes_leaves_nothing_behind)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    begin();
    write_out(side.conn, "x", 1);
    loop_turn(loop, 0);
    conn_close(side.conn);
    cr_assert_eq(loop_hold_next_mark(loop), 0);
    passed = 10;
    some_turns();
    turn_until(hung_up(peer));
}

static int detached_fd = -1;

static void note_detached(void *arg, int fd, const uint8_t *rest, size_t len)
{
    (void)arg;
    (void)rest;
    (void)len;
    detached_fd = fd;
}

ENGINE_TEST(a_connection_is_handed_over_behind_its_output)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    begin();
    write_out(side.conn, "+OK", 3);
    conn_detach(side.conn, note_detached, NULL);
    some_turns();
    cr_assert_eq(detached_fd, -1);
    passed = 10;
    turn_until(detached_fd >= 0);
    expect_text(peer, "+OK");
    close(detached_fd);
}

ENGINE_TEST(what_is_held_leaves_when_nothing_is_held_any_more)
{
    struct side side = {0}, other = {0};
    int peer = open_pair(&side, &quiet_events), fresh = open_pair(&other, &quiet_events);
    begin();
    write_out(side.conn, "held", 4);
    loop_turn(loop, 0);
    write_out(other.conn, "new", 3);
    loop_hold_output(loop, false);
    expect_text(peer, "held");
    expect_text(fresh, "new");
    write_out(side.conn, "free", 4);
    expect_text(peer, "free");
}

/* While nothing can pass: who waits for nothing is served. */
ENGINE_TEST(fresh_output_can_be_let_pass)
{
    struct side waits = {0}, asks = {0};
    int one = open_pair(&waits, &quiet_events), two = open_pair(&asks, &quiet_events);
    begin();
    write_out(waits.conn, "write", 5);
    loop_turn(loop, 0);
    write_out(waits.conn, "more", 4);
    write_out(asks.conn, "info", 4);
    loop_hold_let_pass(loop);
    expect_text(two, "info");
    some_turns();
    cr_assert_not(can_read(one));
    passed = 10;
    expect_text(one, "writemore");
}
