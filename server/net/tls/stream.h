/* One connection's TLS: ciphertext in, plain bytes out, and the other way round. Pure: no sockets, no clock, no other
 * state than its own, so that any one thread may run it. The glue to a connection is net/conn_tls.h. */
#ifndef SLIPSTREAM_NET_TLS_STREAM_H
#define SLIPSTREAM_NET_TLS_STREAM_H

#include "server/base/outq.h"
#include "server/net/tls/context.h"

/* A record never has more plain bytes. */
#define TLS_RECORD_BYTES ((size_t)16 * 1024)

enum tls_stream_state {
    TLS_HANDSHAKE,
    TLS_ESTABLISHED,
    TLS_PEER_ENDED, /* has said that it sends no more (close_notify); we still may */
    TLS_FAILED
};

struct tls_stream;

struct tls_stream *tls_stream_new(const struct tls_context *context);
void tls_stream_free(struct tls_stream *stream);
enum tls_stream_state tls_stream_state(const struct tls_stream *stream);
const char *tls_stream_error(const struct tls_stream *stream); /* of a failed one, one line */

/* What has arrived: valid until tls_stream_read() has returned 0 or less. */
void tls_stream_feed(struct tls_stream *stream, const uint8_t *data, size_t len);
/* Goes on with the handshake, and puts plain bytes at `out`, at most one record's; room is at least
 * TLS_RECORD_BYTES. 0: all that was fed is used up; -1: there will be no more, the state says why. A client begins its
 * handshake by a first call with nothing fed. */
ptrdiff_t tls_stream_read(struct tls_stream *stream, uint8_t *out, size_t room);
/* Encrypts into tls_stream_output(); of an established stream. 0, or -1: it has failed. */
int tls_stream_write(struct tls_stream *stream, const uint8_t *data, size_t len);
void tls_stream_end(struct tls_stream *stream); /* says, once, that we send no more */
/* What is to go over the wire: handshake, records, alerts. */
struct outq *tls_stream_output(struct tls_stream *stream);

/* Of a context that tells keys: the stream is established, and might be gone on with elsewhere. */
bool tls_stream_may_leave(const struct tls_stream *stream);
/* How: 0, and the caller cleanses out. -1: not now, or never; the stream goes on as before. */
struct tls_record_keys;
int tls_stream_keys(const struct tls_stream *stream, struct tls_record_keys *out);

#endif
