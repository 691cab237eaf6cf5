/* Listening sockets. `accepted` gets a connected, non-blocking, close-on-exec descriptor and owns it. */
#ifndef SLIPSTREAM_NET_LISTENER_H
#define SLIPSTREAM_NET_LISTENER_H

#include "server/net/address.h"
#include "server/net/loop.h"

struct listener;

/* NULL on failure with errno; `accepted` runs on the loop's thread. An IPv6 address takes no IPv4 connections. */
struct listener *listener_tcp(struct loop *loop, const struct address *address, int backlog,
                              void (*accepted)(void *arg, int fd), void *arg);
/* A stale socket file at path is removed first. mode 0: leave the umask's. */
struct listener *listener_unix(struct loop *loop, const char *path, unsigned mode, int backlog,
                               void (*accepted)(void *arg, int fd), void *arg);
/* SO_MARK, on it and on what it accepts from now on: for the routing and filtering of packets. 0, or -1 with errno. */
int listener_set_mark(struct listener *listener, unsigned mark);
void listener_close(struct listener *listener); /* closes the socket; does not unlink a Unix socket's file */
const struct address *listener_address(const struct listener *listener);

#endif
