/* See tls.h. */
#include "bench/load/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

#define READ_AHEAD_BYTES (64 << 10) /* several records by one recv */

static void say_why(char error[256], const char *what)
{
    char reason[160] = "";
    unsigned long code = ERR_get_error();
    if (code) ERR_error_string_n(code, reason, sizeof reason);
    snprintf(error, 256, "%.80s: %s", what, *reason ? reason : "the connection ended");
    ERR_clear_error();
}

SSL_CTX *load_tls_context(const char *ca_file, char error[256])
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context && SSL_CTX_load_verify_locations(context, ca_file, NULL) == 1) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_read_ahead(context, 1);
        SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD_BYTES);
        return context;
    }
    say_why(error, ca_file);
    SSL_CTX_free(context);
    return NULL;
}

SSL *load_tls_connect(SSL_CTX *context, int fd, char error[256])
{
    SSL *tls = SSL_new(context);
    if (tls && SSL_set_fd(tls, fd) == 1 && SSL_connect(tls) == 1) return tls;
    say_why(error, "TLS handshake");
    SSL_free(tls);
    return NULL;
}

/* What a call that did nothing means, in errno. */
static ssize_t nothing(SSL *tls, int result)
{
    int system_error = errno, why = SSL_get_error(tls, result);
    ERR_clear_error();
    if (why == SSL_ERROR_ZERO_RETURN) return 0;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else
        errno = why == SSL_ERROR_SYSCALL && system_error ? system_error : EPROTO;
    return -1;
}

ssize_t load_tls_send(SSL *tls, const void *bytes, size_t len)
{
    size_t sent;
    errno = 0;
    int result = SSL_write_ex(tls, bytes, len, &sent);
    return result == 1 ? (ssize_t)sent : nothing(tls, result);
}

ssize_t load_tls_recv(SSL *tls, void *bytes, size_t len)
{
    size_t got;
    errno = 0;
    int result = SSL_read_ex(tls, bytes, len, &got);
    return result == 1 ? (ssize_t)got : nothing(tls, result);
}
