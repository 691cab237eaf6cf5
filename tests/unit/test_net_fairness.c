/* What a turn takes of a connection that has a great deal to say, on both engines: a piece, while the others have their
 * turn; and whatever becomes of the connection meanwhile, no byte of its input is lost, doubled or out of order. */
#include "tests/unit/test_net_on_loop.h"

#include "server/net/engine.h"

#define MUCH_BYTES ((size_t)4 << 20)

/* Sends of the pattern what goes in; returns the new position. */
static size_t send_pattern(int peer, const uint8_t *all, size_t at, size_t len)
{
    ssize_t n;
    while (at < len && (n = send(peer, all + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) at += (size_t)n;
    return at;
}

static int open_hog(struct side *side)
{
    int peer = open_pair(side, &quiet_events), bytes = 1 << 20;
    setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)); /* as far as the system lets us */
    loop_turn(loop, 0);
    return peer;
}

static void expect_pattern(struct outq *got, size_t len)
{
    cr_assert_eq(outq_pending(got), len);
    for (size_t at = 0; at < len;) {
        struct bytes run = outq_front(got);
        for (size_t i = 0; i < run.len; i++) cr_assert_eq(run.ptr[i], pattern_at(at + i));
        at += run.len;
        outq_consume(got, run.len);
    }
}

static struct side hog;
static size_t hog_had, hog_has_had_most;

/* The small one is heard: the endless one may have had one turn since it was heard last. */
static void look_at_hog(struct side *side)
{
    (void)side;
    size_t now = outq_pending(&hog.received);
    if (now - hog_had > hog_has_had_most) hog_has_had_most = now - hog_had;
    hog_had = now;
}

ENGINE_TEST(an_endless_sender_leaves_the_others_their_turn)
{
    uint8_t *all = pattern(MUCH_BYTES);
    struct side small = {.on_data = look_at_hog};
    size_t sent = 0;
    hog = (struct side){0};
    hog_had = hog_has_had_most = 0;
    int peer = open_hog(&hog), small_peer = open_pair(&small, &quiet_events);
    loop_turn(loop, 0);
    turn_until(({
        sent = send_pattern(peer, all, sent, MUCH_BYTES);
        cr_assert_eq(send(small_peer, "x", 1, 0), 1);
        loop_turn(loop, 0);
        outq_pending(&hog.received) == MUCH_BYTES;
    }));
    /* Our loop here makes two turns for each byte of the small one. */
    cr_assert_gt(hog_has_had_most, 0);
    cr_assert_leq(hog_has_had_most, 3 * INPUT_BYTES_EACH_TURN, "in a row: %zu", hog_has_had_most);
    expect_pattern(&hog.received, MUCH_BYTES);
    free(all);
}

static bool small_spoke;

static void note_small(struct side *side)
{
    (void)side;
    small_spoke = true;
}

static void send_early(struct side *side)
{
    (void)side;
    loop_send_early(loop);
}

/* Each one's early send brings the next input of the other, so that there is some before any wait begins; what the
 * third one says has to be asked for all the same. */
ENGINE_TEST(two_endless_senders_whose_output_leaves_early_leave_the_others_their_turn)
{
    uint8_t *all = pattern(MUCH_BYTES);
    struct side hogs[2] = {{.on_data = send_early}, {.on_data = send_early}}, small = {.on_data = note_small};
    int peers[2] = {open_hog(&hogs[0]), open_hog(&hogs[1])}, small_peer = open_pair(&small, &quiet_events);
    size_t sent[2] = {0};
    for (int turns = 0; turns < 40; turns++) {
        for (int i = 0; i < 2; i++) sent[i] = send_pattern(peers[i], all, sent[i], MUCH_BYTES);
        if (turns == 20) cr_assert_eq(send(small_peer, "x", 1, 0), 1);
        small_spoke = turns <= 20 ? false : small_spoke;
        loop_turn(loop, 10000);
        if (turns > 20 && small_spoke) break;
    }
    cr_assert(small_spoke, "it was not heard");
    cr_assert_lt(sent[0], MUCH_BYTES);
    free(all);
}

ENGINE_TEST(the_end_comes_behind_input_that_waits)
{
    uint8_t *all = pattern(MUCH_BYTES);
    for (size_t len = 1; len < MUCH_BYTES; len *= 3) {
        struct side side = {0};
        int peer = open_hog(&side);
        size_t sent = send_pattern(peer, all, 0, len);
        shutdown(peer, SHUT_WR);
        turn_until(side.closed_calls == 1);
        cr_assert_eq(side.error, 0);
        expect_pattern(&side.received, sent);
        close(peer);
    }
    free(all);
}

/* Much, then little, then much: receives change their kind and back. */
ENGINE_TEST(bursts_and_single_bytes_stay_in_order)
{
    uint8_t *all = pattern(MUCH_BYTES);
    struct side side = {0};
    int peer = open_hog(&side);
    size_t sent = 0;
    for (size_t part = 150000; sent < MUCH_BYTES - 200000; part = part == 1 ? 150000 : 1) {
        sent = send_pattern(peer, all, sent, sent + part);
        turn_until(outq_pending(&side.received) == sent);
    }
    expect_pattern(&side.received, sent);
    free(all);
}

static size_t end_after_bytes; /* of this one's received input */

static struct outq rest;
static int detached_calls, detached_fd;

static void detached(void *arg, int fd, const uint8_t *data, size_t len)
{
    (void)arg;
    detached_calls++;
    detached_fd = fd;
    outq_append(&rest, data, len);
}

static void detach_when_due(struct side *side)
{
    if (outq_pending(&side->received) < end_after_bytes || !side->conn) return;
    conn_detach(side->conn, detached, NULL);
    side->conn = NULL;
}

ENGINE_TEST(detaching_hands_over_input_that_waits)
{
    uint8_t *all = pattern(MUCH_BYTES);
    for (end_after_bytes = 1; end_after_bytes < 400000; end_after_bytes += 30011) {
        struct side side = {.on_data = detach_when_due};
        size_t sent = 0;
        rest = (struct outq){0};
        detached_calls = 0;
        int peer = open_hog(&side);
        turn_until((sent = send_pattern(peer, all, sent, MUCH_BYTES), detached_calls));
        outq_move(&side.received, &rest);
        for (;;) {
            uint8_t buffer[65536];
            ssize_t n = recv(detached_fd, buffer, sizeof(buffer), MSG_DONTWAIT);
            if (n <= 0) break;
            outq_append(&side.received, buffer, (size_t)n);
        }
        expect_pattern(&side.received, sent);
        close(detached_fd);
        close(peer);
    }
    free(all);
}

static void close_when_due(struct side *side)
{
    if (outq_pending(&side->received) < end_after_bytes || !side->conn) return;
    conn_close(side->conn);
    side->conn = NULL;
}

static void close_after_flush_when_due(struct side *side)
{
    if (outq_pending(&side->received) < end_after_bytes || !side->conn) return;
    conn_close_after_flush(side->conn);
    side->conn = NULL;
}

/* Closed in the middle of what it has to say, again and again: the buffers it stood in are there for the others. */
ENGINE_TEST(closing_gives_back_what_waits)
{
    uint8_t *all = pattern(MUCH_BYTES);
    for (int i = 0; i < 300; i++) {
        struct side side = {.on_data = i % 2 ? close_when_due : close_after_flush_when_due};
        end_after_bytes = (size_t)i * 1000 + 1;
        size_t sent = 0;
        int peer = open_hog(&side);
        turn_until((sent = send_pattern(peer, all, sent, MUCH_BYTES), !side.conn));
        size_t had = outq_pending(&side.received);
        loop_turn(loop, 0);
        cr_assert_eq(outq_pending(&side.received), had, "input after the close");
        expect_pattern(&side.received, had);
        close(peer);
    }
    struct side side = {0};
    int peer = open_hog(&side);
    size_t sent = 0;
    turn_until((sent = send_pattern(peer, all, sent, MUCH_BYTES), outq_pending(&side.received) == MUCH_BYTES));
    expect_pattern(&side.received, MUCH_BYTES);
    free(all);
}
