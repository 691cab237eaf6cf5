/* Certificates, trust and ciphers, read once and shared by all connections of a role: OpenSSL's SSL_CTX.
 *
 * A connection keeps what it was made with: who replaces a context may free the old one at once. */
#ifndef SLIPSTREAM_NET_TLS_CONTEXT_H
#define SLIPSTREAM_NET_TLS_CONTEXT_H

#include "server/net/tls/settings.h"

#include <stddef.h>

#define TLS_ERROR_MAX 512

enum tls_role { TLS_SERVER, TLS_CLIENT };

struct tls_context;

/* Reads the files that the settings name. NULL: error says in one line what is wrong. */
struct tls_context *tls_context_new(const struct tls_settings *settings, enum tls_role role, char error[TLS_ERROR_MAX]);
void tls_context_free(struct tls_context *context); /* may be NULL */
/* Its streams, from now on, can say how another record layer would go on with them (tls_stream_keys()). */
void tls_context_tell_keys(struct tls_context *context);
bool tls_context_tells_keys(const struct tls_context *context);

/* --- for stream.c and blocking users --- */
struct ssl_st;
struct ssl_st *tls_context_session(const struct tls_context *context); /* a new SSL in its role, the caller's */
/* What OpenSSL's queue of errors has to say, emptied; where it is empty, `otherwise`. */
void tls_take_error(char *out, size_t room, const char *otherwise);

#endif
