/* A connection that its user waits for, each step for no longer than a timeout. The loop stands still meanwhile: only
 * for MIGRATE, which is meant to be like that. Server process. */
#ifndef SLIPSTREAM_NET_BLOCKING_SOCKET_H
#define SLIPSTREAM_NET_BLOCKING_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

/* host: a numeric address, or a name, which is looked up for timeout_ms at most; on the loop's thread, for a worker
 * reports to it. The descriptor, or -1: no such host. Whether the connection came about shows at the first write. */
int blocking_socket_connect(const char *host, int port, int timeout_ms);
/* All of data. 0, or -1 with errno; ETIMEDOUT: nothing moved for timeout_ms. */
int blocking_socket_write(int fd, const void *data, size_t len, int timeout_ms);
/* What there is, up to len bytes. Their number, or -1 with errno, also when the other side has closed. */
ssize_t blocking_socket_read(int fd, void *data, size_t len, int timeout_ms);

#endif
