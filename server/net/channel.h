/* Messages with descriptors between two of our own processes, on the loop, over one SOCK_SEQPACKET pair (fdpass.h).
 *
 * A message is a head, a struct of the sender's, and bytes behind it; what they mean is the business of both ends. A
 * sender never waits: what the socket does not take is kept. */
#ifndef SLIPSTREAM_NET_CHANNEL_H
#define SLIPSTREAM_NET_CHANNEL_H

#include "server/base/bytes.h"
#include "server/net/loop.h"

#define CHANNEL_MESSAGE_MAX ((size_t)63 * 1024) /* bytes, head and body */
#define CHANNEL_FDS_MAX     3

struct channel;

struct channel_events {
    void *context;
    /* The callee owns the descriptors. The message is valid for the call, and aligned as any struct. */
    void (*received)(void *context, struct bytes message, const int *fds, int fd_count);
    void (*ended)(void *context); /* the other end is gone; nothing follows. Close the channel. */
};

struct channel *channel_open(struct loop *loop, int fd, const struct channel_events *events); /* owns fd */
void channel_close(struct channel *c); /* also from inside its callbacks; what is still queued is dropped */
/* Never waits: what the socket does not take at once is kept, with copies of the descriptors. The caller keeps its own.
 * 0, or -1 with errno. */
int channel_send(struct channel *c, struct bytes head, struct bytes body, const int *fds, int fd_count);

#endif
