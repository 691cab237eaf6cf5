/* The kernel's own TLS (its `tls` protocol on top of TCP): a socket that takes and gives plain bytes, so that any
 * process may have it. Where there is none, or it does not know a connection's cipher: net/tls_relay.h. */
#ifndef SLIPSTREAM_NET_KERNEL_TLS_H
#define SLIPSTREAM_NET_KERNEL_TLS_H

#include <stdbool.h>

struct tls_record_keys;

/* Asks the kernel, which may load its module for it. */
bool kernel_tls_is_offered(void);

enum kernel_tls_start {
    KERNEL_TLS_ON,      /* fd: plain bytes from here on */
    KERNEL_TLS_REFUSED, /* errno says why; bytes pass as before */
    KERNEL_TLS_BROKEN   /* errno; one direction alone is encrypted: there is nothing to do with it but to close it */
};

/* fd: of TCP, between two records in both directions; what it has still to send was encrypted by somebody else. */
enum kernel_tls_start kernel_tls_start(int fd, const struct tls_record_keys *keys);
bool kernel_tls_is_on(int fd);
/* Says that nothing follows (close_notify). 0, or -1 with errno: not said, EAGAIN: not yet. */
int kernel_tls_say_end(int fd);
/* Reading has failed with EIO: what has come are no bytes but a word of TLS itself. 0: the peer has said that nothing
 * follows; else the errno to go on with. */
int kernel_tls_end_of(int fd);

#endif
