/* A connection that its user waits for, each step for no longer than a timeout. The loop stands still meanwhile: only
 * for MIGRATE, which is meant to be like that. Server process. */
#ifndef SLIPSTREAM_NET_BLOCKING_SOCKET_H
#define SLIPSTREAM_NET_BLOCKING_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct blocking_socket;
struct tls_context;

/* host: a numeric address, or a name, which is looked up for timeout_ms at most; on the loop's thread, for a worker
 * reports to it. NULL: no such host. Whether the connection came about shows at the first write. */
struct blocking_socket *blocking_socket_connect(const char *host, int port, int timeout_ms);
void blocking_socket_close(struct blocking_socket *s);
/* TLS from here on, before anything is written. 0, or -1 with errno, EPROTO where the handshake has failed: error says
 * why then, in one line. */
int blocking_socket_secure(struct blocking_socket *s, const struct tls_context *context, int timeout_ms, char *error,
                           size_t room);
/* All of data. 0, or -1 with errno; ETIMEDOUT: nothing moved for timeout_ms. */
int blocking_socket_write(struct blocking_socket *s, const void *data, size_t len, int timeout_ms);
/* What there is, up to len bytes. Their number, or -1 with errno, also when the other side has closed. */
ssize_t blocking_socket_read(struct blocking_socket *s, void *data, size_t len, int timeout_ms);
/* Open as far as can be seen, and nothing to read; does not wait. */
bool blocking_socket_is_quiet(struct blocking_socket *s);

#endif
