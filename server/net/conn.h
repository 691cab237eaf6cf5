/* One stream connection on the loop: TCP or Unix, accepted or opened by us.
 *
 * Life: conn_open (a connected descriptor) or conn_connect -> data and output flow -> conn_close,
 * conn_close_after_flush or conn_detach. The owner learns the end by exactly one `closed` callback when the peer or an
 * error ends it; after a conn_close of its own it hears nothing more.
 *
 * Input: `data` is handed every run of bytes as it arrives, in the engine's own buffer, valid for the call only: parse
 * in place, keep the rest by copying. Output: write into conn_output(), then conn_flush(): the engine sends at the end
 * of the turn, all connections in one submission. */
#ifndef SLIPSTREAM_NET_CONN_H
#define SLIPSTREAM_NET_CONN_H

#include "server/base/outq.h"
#include "server/net/address.h"
#include "server/net/loop.h"

struct conn;

/* An owner's first bytes are fetched into the cache shortly before his input is handed over, where the engine knows it
 * ahead: what every input needs belongs there. */
#define CONN_OWNER_HOT_BYTES 320

struct conn_events {
    void (*data)(struct conn *conn, const uint8_t *data, size_t len);
    /* May be NULL. The same bytes, in the same place, will come by `data` in this turn, after some other connections':
     * time to ask the memory for what they will need. Called twice if at all: some connections ahead, then again when
     * it is near. Nothing that others see may change, for the connection may be closed before. Only io_uring knows its
     * input ahead. */
    void (*announced)(struct conn *conn, const uint8_t *data, size_t len, bool near);
    /* Of a connection that has been given to pool_heard(): the same announcement, with what an I/O thread has read
     * already; and whether all of its input so far has been used. */
    void (*prepared)(struct conn *conn, void *reading);
    bool (*between_requests)(const struct conn *conn);
    void (*closed)(struct conn *conn, int error); /* error 0: the peer closed; else an errno. conn is gone on return */
    /* conn_connect and conn_secure only: once, when it stands, its TLS handshake included; on error, `closed` does not
     * follow and conn is gone on return. */
    void (*connected)(struct conn *conn, int error);
    void (*drained)(struct conn *conn); /* may be NULL: all output, also a conn_send_in_place, has left */
};

/* Owns fd, starts reading. */
struct conn *conn_open(struct loop *loop, int fd, const struct conn_events *events, void *owner);
/* Non-blocking connect; source may be NULL (bind-source-addr). `connected` always comes later, never inside the call.
 * NULL when no socket could be made (errno). */
struct conn *conn_connect(struct loop *loop, const struct address *to, const struct address *source,
                          const struct conn_events *events, void *owner);

/* TLS from here on, to be asked for at once after conn_open or conn_connect: `connected` follows when the handshake has
 * come to its end, and nothing written before leaves in clear. Its owner bounds its time. */
struct tls_context;
void conn_secure(struct conn *conn, const struct tls_context *context);
bool conn_is_secure(const struct conn *conn);
/* In `connected` or `closed` with an error: what is wrong with its TLS, in one line; NULL: nothing is known. */
const char *conn_tls_error(const struct conn *conn);

void conn_give(struct conn *conn, const struct conn_events *events, void *owner); /* from now on another's */
void *conn_owner(const struct conn *conn);
int conn_fd(const struct conn *conn);
struct loop *conn_loop(const struct conn *conn);
bool conn_is_lent(const struct conn *conn); /* to an I/O thread, or about to be (net/pool/) */

void conn_prefetch(const struct conn *conn); /* something will be written to it soon; NULL: nothing */
struct outq *conn_output(struct conn *conn);
void conn_flush(struct conn *conn);               /* cheap, may be called after every reply */
size_t conn_lent_unsent(const struct conn *conn); /* of it, what an I/O thread has; to about OUTQ_CHUNK_BYTES exact */
size_t conn_unsent(const struct conn *conn);      /* bytes in conn_output(), encrypted ones, and in flight */

/* Sends len bytes straight from memory the caller guarantees to stay unchanged until `drained` (the backlog ring). Goes
 * out behind everything in conn_output(). One at a time: CHECKs that none is under way. The bytes may be sent in
 * pieces; conn_in_place_left() tells how many are still needed. */
void conn_send_in_place(struct conn *conn, const void *data, size_t len);
size_t conn_in_place_left(const struct conn *conn);

void conn_close(struct conn *conn);             /* now; output not yet handed to the kernel is dropped */
void conn_close_after_flush(struct conn *conn); /* reads no more; closes when the output has left or fails */
/* Takes the descriptor back: reading stops, output is flushed, then `detached(arg, fd, rest, len)` is called with the
 * descriptor (the callee owns it) and input that had already arrived; conn is gone. fd is -1 when the connection
 * died. Of a connection with TLS it has plain bytes as well: the kernel goes on with the TLS (net/kernel_tls.h), or it
 * is a Unix socket, whose other end the loop keeps and encrypts (net/tls_relay.h). */
void conn_detach(struct conn *conn, void (*detached)(void *arg, int fd, const uint8_t *rest, size_t len), void *arg);

/* Of a connection with TLS that stays where it is: input stops and waits, and `paused` is called in a later
 * turn, never inside the call. What ends the connection meanwhile is told after conn_resume(). */
void conn_pause(struct conn *conn, void (*paused)(void *arg), void *arg);
void conn_resume(struct conn *conn); /* nothing where it does not pause */

/* Socket options; best effort, errors are ignored as Redis does. */
void conn_set_nodelay(struct conn *conn, bool on);
void conn_set_keepalive(struct conn *conn, int interval_s); /* 0: off */

void conn_peer_address(const struct conn *conn, struct address *out);
void conn_local_address(const struct conn *conn, struct address *out);

#endif
