/* Connections, on both engines: input and output in any split, the end of either side, output sent in place, and
 * detaching. */
#include "tests/unit/test_net_on_loop.h"

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

/* More pieces than one send takes, each of them less than the socket has room for: nothing else happens meanwhile. */
ENGINE_TEST(output_in_many_pieces_needs_no_other_event)
{
    enum { PIECES = 200, PIECE_BYTES = 9000 }; /* two do not fit into a chunk */
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events), room = 1 << 20;
    setsockopt(conn_fd(side.conn), SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    size_t len = (size_t)PIECES * PIECE_BYTES, at = 0;
    uint8_t *all = pattern(len);
    for (size_t from = 0; from < len; from += PIECE_BYTES) {
        uint8_t *to = outq_reserve(conn_output(side.conn), PIECE_BYTES);
        memcpy(to, all + from, PIECE_BYTES);
        outq_commit(conn_output(side.conn), to + PIECE_BYTES);
    }
    conn_flush(side.conn);
    bool ended = false;
    int64_t start_ms = clock_monotonic_ms();
    while (at < len) {
        for (size_t before = SIZE_MAX; before != at;) at = read_pattern(peer, before = at, SIZE_MAX, &ended);
        if (at < len) loop_turn(loop, 1000);
    }
    cr_assert_lt(clock_monotonic_ms() - start_ms, 4000, "turns have waited for nothing");
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

ENGINE_TEST(a_peer_that_has_finished_its_side_gets_more_than_a_socket_holds)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    size_t len = 8u << 20, at = 0;
    uint8_t *all = pattern(len);
    write_out(side.conn, all, len);
    shutdown(peer, SHUT_WR);
    for (int i = 0; i < 5; i++) loop_turn(loop, 0);
    cr_assert_eq(side.closed_calls, 0, "the end overtook the output");
    bool ended = false;
    turn_until((at = read_pattern(peer, at, SIZE_MAX, &ended), ended));
    cr_assert_eq(at, len);
    cr_assert_eq(side.closed_calls, 1);
    cr_assert_eq(side.error, 0);
    free(all);
}

ENGINE_TEST(a_peer_that_finishes_its_side_and_vanishes_ends_the_connection)
{
    struct side side = {0};
    int peer = open_pair(&side, &quiet_events);
    size_t len = 8u << 20;
    uint8_t *all = pattern(len);
    write_out(side.conn, all, len);
    shutdown(peer, SHUT_WR);
    for (int i = 0; i < 5; i++) loop_turn(loop, 0);
    close(peer);
    turn_until(side.closed_calls == 1);
    free(all);
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
