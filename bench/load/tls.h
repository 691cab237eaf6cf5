/* TLS for the load: a connection's handshake, and its bytes as send(2) and recv(2) of a
 * non-blocking socket know them. */
#ifndef LOAD_TLS_H
#define LOAD_TLS_H

#include <openssl/ssl.h>
#include <sys/types.h>

/* Servers' certificates are verified by this file. NULL: `error` says why not. SSL_CTX_free() in the end. */
SSL_CTX *load_tls_context(const char *ca_file, char error[256]);
/* The handshake, on a socket that still blocks. NULL: `error` says why it failed. SSL_free() in the end; the socket
 * stays the caller's. */
SSL *load_tls_connect(SSL_CTX *context, int fd, char error[256]);

/* -1 with errno, EAGAIN among them. What could not be sent is given again, unchanged, the next time. */
ssize_t load_tls_send(SSL *tls, const void *bytes, size_t len);
ssize_t load_tls_recv(SSL *tls, void *bytes, size_t len); /* at most one record's; 0: the other side has closed */

#endif
