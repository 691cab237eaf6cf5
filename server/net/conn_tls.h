/* TLS on a connection: what conn.c asks where conn->tls is set. Plain bytes stay in conn->output until a send begins;
 * then as many as one send takes are encrypted, so that they still count, and can be held, as what they are. */
#ifndef SLIPSTREAM_NET_CONN_TLS_H
#define SLIPSTREAM_NET_CONN_TLS_H

#include "server/net/engine.h"

void conn_tls_free(struct conn *conn);  /* also where there is none */
void conn_tls_begin(struct conn *conn); /* a connection of ours stands: the handshake begins */
bool conn_tls_is_shaking(const struct conn *conn);
void conn_tls_on_data(struct conn *conn, const uint8_t *data, size_t len); /* conn may be gone afterwards */
unsigned conn_tls_gather(struct conn *conn, struct iovec *runs, unsigned room, size_t *total);
void conn_tls_consume(struct conn *conn, size_t n); /* n encrypted bytes have left */
bool conn_tls_may_send(const struct conn *conn);
/* conn_has_unsent() is false, and conn closes: true when the peer is told first, which brings us here again. */
bool conn_tls_say_end(struct conn *conn);
/* conn is about to go: an alert, or the word that this is the end, if the socket takes it at once. */
void conn_tls_last_words(struct conn *conn);
/* For connections that are lent (net/pool/). conn's TLS, which is without one from here on; NULL: it had none. */
struct conn_tls *conn_tls_take(struct conn *conn);
/* conn's from here on: what it holds is heard in the next turn, behind what conn_hold() was given. */
void conn_tls_put(struct conn *conn, struct conn_tls *tls);
void conn_tls_input_wait(struct conn *conn, bool waits); /* conn_input_wait() */
/* Something was due in an open connection; false: but not because of TLS. conn may be gone afterwards. */
bool conn_tls_settle(struct conn *conn);
bool conn_tls_is_resuming(const struct conn *conn); /* conn_tls_settle() goes on with what is held: it comes first */
/* conn begins to be detached: true when its descriptor may leave it, if the kernel goes on with its TLS
 * (net/kernel_tls.h). Then it is not read any more, as a plain one. */
bool conn_tls_would_leave(struct conn *conn);
bool conn_tls_is_read_on(const struct conn *conn); /* while it is detached: it would not leave */
/* conn is detached and still. */
enum conn_tls_way {
    CONN_TLS_LEAVES, /* its descriptor has plain bytes from here on */
    CONN_TLS_STAYS,  /* `detached` was given one end of a pair of sockets, and a relay has the other */
    CONN_TLS_DIES
};
enum conn_tls_way conn_tls_hand_over(struct conn *conn);

#endif
