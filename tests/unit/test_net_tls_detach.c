/* A connection with TLS whose descriptor is taken away, on both engines: whoever has the other one then exchanges plain
 * bytes with the same peer, whether the kernel goes on with the TLS, the loop does for him, or it might have been the
 * kernel and could not: for want of one, or because half a record had come. */
#include "server/net/conn_tls.h"
#include "server/net/engine.h"
#include "tests/unit/test_net_on_loop.h"
#include "tests/unit/test_tls_ends.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define ALL_BYTES  60000
#define BACK_BYTES 400000

/* The client: a stream in memory, and its end of a TCP connection. */
struct client {
    struct tls_context *context;
    struct tls_stream *stream;
    int fd;
    size_t said; /* of the pattern */
    struct outq heard;
};

struct handover {
    int calls, fd;
    struct outq rest;
};

static struct handover handover;

static void take_over(void *arg, int fd, const uint8_t *rest, size_t len)
{
    (void)arg;
    handover.calls++;
    handover.fd = fd;
    outq_append(&handover.rest, rest, len);
}

static void detach(struct side *side)
{
    conn_detach(side->conn, take_over, NULL);
    side->conn = NULL;
}

static int open_tcp_pair(struct side *side)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&at, len), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, len), 0);
    side->conn = conn_open(loop, accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), &quiet_events, side);
    close(listener);
    return fd;
}

/* What it has to send leaves, at most `most` bytes of it; what has come is read. */
static void carry_client(struct client *c, size_t most)
{
    static uint8_t wire[8192], plain[2 * TLS_RECORD_BYTES];
    struct outq *out = tls_stream_output(c->stream);
    struct bytes front = outq_front(out);
    if (front.len > most) front.len = most;
    ssize_t n = front.len ? send(c->fd, front.ptr, front.len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    if (n > 0) outq_consume(out, (size_t)n);
    n = recv(c->fd, wire, sizeof wire, MSG_DONTWAIT);
    ptrdiff_t got;
    tls_stream_feed(c->stream, wire, n > 0 ? (size_t)n : 0);
    while ((got = tls_stream_read(c->stream, plain, sizeof plain)) > 0) outq_append(&c->heard, plain, (size_t)got);
    cr_assert_neq(tls_stream_state(c->stream), TLS_FAILED, "%s", tls_stream_error(c->stream));
}

/* In records of `size` bytes. */
static void say_more(struct client *c, const uint8_t *all, size_t size)
{
    if (c->said == ALL_BYTES || !outq_empty(tls_stream_output(c->stream))) return;
    if (tls_stream_state(c->stream) != TLS_ESTABLISHED) return;
    size_t n = ALL_BYTES - c->said < size ? ALL_BYTES - c->said : size;
    cr_assert_eq(tls_stream_write(c->stream, all + c->said, n), 0);
    c->said += n;
}

static void expect_pattern(struct outq *q, size_t len)
{
    cr_assert_eq(outq_pending(q), len);
    for (size_t at = 0; at < len; at++, outq_consume(q, 1)) cr_assert_eq(*outq_front(q).ptr, pattern_at(at));
}

static void goes_on_plainly(struct tls_context *server, const char *protocol, const char *cipher, size_t most)
{
    struct side side = {.on_data = detach};
    struct client c = {.context = context(TLS_CLIENT, protocol, cipher)};
    uint8_t *all = pattern(BACK_BYTES), buffer[8192];
    size_t answered = 0;
    handover = (struct handover){0};
    c.stream = tls_stream_new(c.context);
    c.fd = open_tcp_pair(&side);
    conn_secure(side.conn, server);
    turn_until(({
        say_more(&c, all, 997);
        carry_client(&c, most);
        handover.calls;
    }));
    cr_assert_geq(handover.fd, 0);
    cr_assert_eq(side.data_calls, 1);
    struct outq got = side.received;
    outq_move(&got, &handover.rest);
    turn_until(({
        say_more(&c, all, 997);
        carry_client(&c, most);
        ssize_t n = recv(handover.fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) outq_append(&got, buffer, (size_t)n);
        n = send(handover.fd, all + answered, BACK_BYTES - answered, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) answered += (size_t)n;
        outq_pending(&got) == ALL_BYTES &&outq_pending(&c.heard) == BACK_BYTES;
    }));
    expect_pattern(&got, ALL_BYTES);
    expect_pattern(&c.heard, BACK_BYTES);
    cr_assert_eq(side.closed_calls, 0);
    close(handover.fd);
    loop_turn(loop, 0);
    close(c.fd);
    tls_stream_free(c.stream);
    tls_context_free(c.context);
    outq_clear(&got);
    outq_clear(&c.heard);
    free(all);
}

ENGINE_TEST(the_peer_hears_and_is_heard)
{
    static const char *const kinds[][2] = {{"TLSv1.3", "TLS_AES_256_GCM_SHA384"},
                                           {"TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"},
                                           {"TLSv1.2", "ECDHE-ECDSA-AES256-SHA384"}};
    make_certificates();
    for (int k = 0; k < 3; k++) {
        struct tls_context *server = context(TLS_SERVER, kinds[k][0], kinds[k][1]);
        for (size_t most = 200; most < 5000; most = most * 2 + 61)
            goes_on_plainly(server, kinds[k][0], kinds[k][1], most);
        tls_context_free(server);
    }
    remove_certificates();
}

/* It is lent, or comes back, with half a record that came while it waited; the other half, and maybe the end, come
 * before it has gone on with that. */
static void goes_on_in_order(struct tls_context *server, bool ends)
{
    enum { BYTES = 1000 };
    struct side side = {0};
    struct client c = {.context = context(TLS_CLIENT, "TLSv1.3", "TLS_AES_256_GCM_SHA384")};
    uint8_t *all = pattern(BYTES);
    c.stream = tls_stream_new(c.context);
    c.fd = open_tcp_pair(&side);
    conn_secure(side.conn, server);
    turn_until(({
        carry_client(&c, SIZE_MAX);
        tls_stream_state(c.stream) == TLS_ESTABLISHED &&outq_empty(tls_stream_output(c.stream)) &&
            !conn_tls_is_shaking(side.conn);
    }));
    cr_assert_eq(tls_stream_write(c.stream, all, BYTES), 0);
    struct bytes record = outq_front(tls_stream_output(c.stream));
    size_t half = record.len / 2;
    conn_input_wait(side.conn, true);
    conn_tls_on_data(side.conn, record.ptr, half);
    conn_tls_put(side.conn, conn_tls_take(side.conn));
    side.conn->paused = false;
    conn_tls_on_data(side.conn, record.ptr + half, record.len - half);
    if (ends) conn_on_end(side.conn, 0);
    turn_until(outq_pending(&side.received) == BYTES && side.closed_calls == ends);
    expect_pattern(&side.received, BYTES);
    if (!ends) conn_close(side.conn);
    loop_turn(loop, 0);
    close(c.fd);
    tls_stream_free(c.stream);
    tls_context_free(c.context);
    outq_clear(&c.heard);
    outq_clear(&side.received);
    free(all);
}

ENGINE_TEST(what_was_held_goes_before_what_comes)
{
    make_certificates();
    struct tls_context *server = context(TLS_SERVER, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
    goes_on_in_order(server, false);
    goes_on_in_order(server, true);
    tls_context_free(server);
}
