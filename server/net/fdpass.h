/* Messages with descriptors between our own processes, over a SOCK_SEQPACKET Unix socketpair: one send is one message.
 *
 * Non-blocking. The sender keeps its own copy of each descriptor and closes it when it likes. */
#ifndef SLIPSTREAM_NET_FDPASS_H
#define SLIPSTREAM_NET_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#define FDPASS_MAX_FDS   4
#define FDPASS_MAX_BYTES (64 * 1024)

int fdpass_pair(int out[2]); /* close-on-exec, non-blocking; 0 or -1 */
int fdpass_send(int channel, const void *message, size_t len, const int *fds, int fd_count); /* 0 or -1, EAGAIN: full */
/* Bytes received, 0 at the other's end, -1 with errno (EAGAIN: nothing). *fd_count is in: room, out: received. */
ssize_t fdpass_receive(int channel, void *message, size_t room, int *fds, int *fd_count);

#endif
