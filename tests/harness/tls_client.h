/* A blocking TLS client, for tests of what travels and of what is refused. */
#ifndef HARNESS_TLS_CLIENT_H
#define HARNESS_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct tls_client;

struct tls_client_options {
    const char *dir;         /* of certificates, with a "ca" */
    const char *certificate; /* its name; NULL: none is shown */
    int version;             /* TLS1_2_VERSION ...; 0: any */
    const char *ciphers;     /* up to TLS 1.2; NULL: any */
};

/* NULL: the handshake failed. A server's refusal of a TLS 1.3 client's certificate comes with the first read. */
struct tls_client *tls_connect(int port, const struct tls_client_options *options);
void tls_client_close(struct tls_client *c); /* may be NULL */
/* The connection ends with a word about it (close_notify), and the server's own comes back: true. */
bool tls_client_end(struct tls_client *c);
bool tls_client_send(struct tls_client *c, const void *data, size_t len);
/* Reads len bytes; what came, less than that where the connection ended. */
size_t tls_client_read(struct tls_client *c, void *data, size_t len);
/* Sends the request and reads as many bytes as the answer has: whether they are the same. */
bool tls_client_asks(struct tls_client *c, const char *request, const char *answer);
const char *tls_client_cipher(const struct tls_client *c);
bool tls_client_resumes(struct tls_client *c, int port); /* a second connection with c's session: it was taken */
bool tls_client_renegotiates(struct tls_client *c);      /* up to TLS 1.2 */
bool tls_client_renews_keys(struct tls_client *c);       /* TLS 1.3: with the next bytes, both directions */

#endif
