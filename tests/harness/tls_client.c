/* See tls_client.h. */
#include "tests/harness/tls_client.h"

#include "tests/harness/fail.h"
#include "tests/harness/raw.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BOUND_S 60

struct tls_client {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};

static SSL_CTX *new_context(const struct tls_client_options *o)
{
    char path[1024];
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    snprintf(path, sizeof path, "%s/ca.crt", o->dir);
    SSL_CTX_load_verify_locations(context, path, NULL);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    if (o->version) {
        SSL_CTX_set_min_proto_version(context, o->version);
        SSL_CTX_set_max_proto_version(context, o->version);
    }
    if (o->ciphers) SSL_CTX_set_cipher_list(context, o->ciphers);
    if (!o->certificate) return context;
    snprintf(path, sizeof path, "%s/%s.crt", o->dir, o->certificate);
    if (SSL_CTX_use_certificate_file(context, path, SSL_FILETYPE_PEM) != 1) harness_fail("%s", path);
    snprintf(path, sizeof path, "%s/%s.key", o->dir, o->certificate);
    if (SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1) harness_fail("%s", path);
    return context;
}

static struct tls_client *connect_with(SSL_CTX *context, SSL_SESSION *session, int port)
{
    struct tls_client *c = calloc(1, sizeof *c);
    signal(SIGPIPE, SIG_IGN);
    c->context = context;
    c->fd = raw_try_connect("127.0.0.1", port);
    if (c->fd < 0) harness_fail("nobody listens on port %d", port);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = BOUND_S}, sizeof(struct timeval));
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    if (session) SSL_set_session(c->ssl, session);
    ERR_clear_error();
    if (SSL_connect(c->ssl) == 1) return c;
    tls_client_close(c);
    return NULL;
}

struct tls_client *tls_connect(int port, const struct tls_client_options *options)
{
    return connect_with(new_context(options), NULL, port);
}

void tls_client_close(struct tls_client *c)
{
    if (!c) return;
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    close(c->fd);
    free(c);
}

bool tls_client_end(struct tls_client *c)
{
    ERR_clear_error();
    return SSL_shutdown(c->ssl) == 1 || SSL_shutdown(c->ssl) == 1;
}

bool tls_client_send(struct tls_client *c, const void *data, size_t len)
{
    ERR_clear_error();
    return SSL_write(c->ssl, data, (int)len) == (int)len;
}

size_t tls_client_read(struct tls_client *c, void *data, size_t len)
{
    size_t all = 0, got;
    ERR_clear_error();
    while (all < len && SSL_read_ex(c->ssl, (char *)data + all, len - all, &got) == 1) all += got;
    return all;
}

bool tls_client_asks(struct tls_client *c, const char *request, const char *answer)
{
    char got[512];
    size_t len = strlen(answer);
    if (!tls_client_send(c, request, strlen(request)) || len > sizeof got) return false;
    return tls_client_read(c, got, len) == len && memcmp(got, answer, len) == 0;
}

const char *tls_client_cipher(const struct tls_client *c)
{
    return SSL_get_cipher_name(c->ssl);
}

bool tls_client_resumes(struct tls_client *c, int port)
{
    SSL_CTX_up_ref(c->context);
    SSL_SESSION *session = SSL_get1_session(c->ssl);
    struct tls_client *again = connect_with(c->context, session, port);
    bool resumed = again && SSL_session_reused(again->ssl);
    SSL_SESSION_free(session);
    tls_client_close(again);
    return resumed;
}

bool tls_client_renegotiates(struct tls_client *c)
{
    ERR_clear_error();
    return SSL_renegotiate(c->ssl) == 1 && SSL_do_handshake(c->ssl) == 1;
}

bool tls_client_renews_keys(struct tls_client *c)
{
    ERR_clear_error();
    return SSL_key_update(c->ssl, SSL_KEY_UPDATE_REQUESTED) == 1;
}
