/* Carries plain bytes between a pair of sockets and a connection with TLS, in the loop that has the connection. Any
 * process with a loop; used by the server.
 *
 * It reads the pair only while the connection has little to send, so that whoever writes there feels the peer's pace as
 * he would on the connection itself. Where there are I/O threads, one of them encrypts and sends. The other direction
 * is acknowledgements: who does not take them is cut off. The pair is shut down before it is closed: a forked child may
 * still hold a copy of this end. */
#include "server/net/tls_relay.h"

#include "server/base/alloc.h"
#include "server/net/conn.h"
#include "server/net/pool/pool.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* To be encrypted or sent: then the pair is not read. More than an I/O thread is given at once, so that there is some
 * for it when it has sent that. */
#define AHEAD_BYTES    ((size_t)512 * 1024)
#define PIECE_BYTES    (OUTQ_CHUNK_BYTES - sizeof(struct outq_chunk))
#define BACK_BYTES_MAX ((size_t)1024 * 1024)

struct relay {
    struct conn *conn;
    struct loop_watch *watch;
    int fd;
    struct outq back; /* from the connection, not yet taken by the pair */
};

static void relay_free(struct relay *r)
{
    loop_watch_stop(r->watch);
    shutdown(r->fd, SHUT_RDWR);
    close(r->fd);
    outq_clear(&r->back);
    mem_free(r);
}

static void watch_again(struct relay *r)
{
    bool room = conn_unsent(r->conn) < AHEAD_BYTES;
    loop_watch_set(r->watch, (room ? LOOP_READABLE : 0) | (outq_empty(&r->back) ? 0 : LOOP_WRITABLE));
}

/* The plain side is gone: what it had said still leaves. */
static void plain_side_ended(struct relay *r)
{
    conn_close_after_flush(r->conn);
    relay_free(r);
}

/* False: the relay is gone. */
static bool carry_out(struct relay *r)
{
    struct outq *out = conn_output(r->conn);
    while (conn_unsent(r->conn) < AHEAD_BYTES) {
        uint8_t *at = outq_reserve(out, PIECE_BYTES);
        ssize_t got = recv(r->fd, at, PIECE_BYTES, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (got <= 0) {
            plain_side_ended(r);
            return false;
        }
        outq_commit(out, at + got);
        conn_flush(r->conn);
    }
    return true;
}

/* -1: nobody is there. */
static int carry_back(struct relay *r)
{
    while (!outq_empty(&r->back)) {
        struct bytes front = outq_front(&r->back);
        ssize_t sent = send(r->fd, front.ptr, front.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
        outq_consume(&r->back, (size_t)sent);
    }
    return 0;
}

static void ready(void *arg, int events)
{
    struct relay *r = arg;
    if ((events & LOOP_WRITABLE) && carry_back(r) != 0) {
        plain_side_ended(r);
        return;
    }
    if (!(events & LOOP_READABLE) || carry_out(r)) watch_again(r);
}

static void on_data(struct conn *conn, const uint8_t *data, size_t len)
{
    struct relay *r = conn_owner(conn);
    pool_lend_work(conn, true);
    outq_append(&r->back, data, len);
    if (carry_back(r) != 0 || outq_pending(&r->back) > BACK_BYTES_MAX)
        plain_side_ended(r);
    else
        watch_again(r);
}

static void on_drained(struct conn *conn)
{
    watch_again(conn_owner(conn));
}

static void on_closed(struct conn *conn, int error)
{
    (void)error;
    relay_free(conn_owner(conn));
}

static const struct conn_events relay_events = {.data = on_data, .closed = on_closed, .drained = on_drained};

int tls_relay_start(struct conn *conn)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return -1;
    struct relay *r = mem_calloc(1, sizeof *r);
    r->conn = conn;
    r->fd = pair[0];
    r->watch = loop_watch_start(conn_loop(conn), r->fd, LOOP_READABLE, ready, r);
    conn_give(conn, &relay_events, r);
    pool_lend_work(conn, true);
    return pair[1];
}
