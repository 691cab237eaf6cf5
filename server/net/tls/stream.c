/* See stream.h. Any process.
 *
 * OpenSSL reads from the caller's buffer and writes straight into the output queue, by a BIO of our own: its memory
 * BIOs would copy everything once more. Its buffers for records are given back whenever they are empty
 * (SSL_MODE_RELEASE_BUFFERS), so that an idle connection holds some kilobytes and not forty. */
#include "server/net/tls/stream.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/net/tls/record_keys.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* What a peer may make us answer without reading it (key updates, tickets): more, and it is no friend. */
#define UNASKED_BYTES_MAX ((size_t)256 * 1024)

struct tls_stream {
    SSL *ssl;
    const uint8_t *input;
    size_t input_len;
    struct outq output;
    struct record_watch *watch; /* NULL: nobody will ask for its keys */
    uint8_t state;              /* enum tls_stream_state */
    bool ended;                 /* tls_stream_end() was called */
    char *error;                /* owned; of a failed one */
};

/* --- the BIO --- */

static int take_input(BIO *bio, char *out, size_t room, size_t *taken)
{
    struct tls_stream *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *taken = s->input_len < room ? s->input_len : room;
    if (*taken == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(out, s->input, *taken);
    s->input += *taken;
    s->input_len -= *taken;
    return 1;
}

static int put_output(BIO *bio, const char *data, size_t len, size_t *written)
{
    struct tls_stream *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    outq_append(&s->output, data, len);
    if (s->watch) record_watch_left(s->watch, (const uint8_t *)data, len);
    *written = len;
    return 1;
}

static long control(BIO *bio, int what, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "connection");
    CHECK(method);
    BIO_meth_set_read_ex(method, take_input);
    BIO_meth_set_write_ex(method, put_output);
    BIO_meth_set_ctrl(method, control);
}

static BIO *new_bio(struct tls_stream *s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *bio = BIO_new(method);
    CHECK(bio); /* out of memory */
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    return bio;
}

/* --- life --- */

struct tls_stream *tls_stream_new(const struct tls_context *context)
{
    struct tls_stream *s = mem_calloc(1, sizeof *s);
    s->ssl = tls_context_session(context);
    SSL_set_read_ahead(s->ssl, 1);
    BIO *bio = new_bio(s);
    SSL_set_bio(s->ssl, bio, bio);
    if (tls_context_tells_keys(context)) s->watch = record_watch_start(s->ssl);
    return s;
}

void tls_stream_free(struct tls_stream *s)
{
    if (!s) return;
    SSL_free(s->ssl);
    record_watch_free(s->watch);
    outq_clear(&s->output);
    mem_free(s->error);
    mem_free(s);
}

enum tls_stream_state tls_stream_state(const struct tls_stream *s)
{
    return s->state;
}

const char *tls_stream_error(const struct tls_stream *s)
{
    return s->error ? s->error : "";
}

struct outq *tls_stream_output(struct tls_stream *s)
{
    return &s->output;
}

/* --- failure --- */

/* What OpenSSL calls the first bytes of another protocol is of little help to who looks for the fault. */
static const char *hint(unsigned long code)
{
    switch (ERR_GET_REASON(code)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_RECORD_TOO_SMALL: return " (the other side does not seem to speak TLS)";
    default: return "";
    }
}

static void fail(struct tls_stream *s, const char *otherwise)
{
    char reason[256], text[512];
    unsigned long code = ERR_peek_error();
    long verified = SSL_get_verify_result(s->ssl);
    bool shaking = s->state == TLS_HANDSHAKE;
    tls_take_error(reason, sizeof reason, otherwise);
    snprintf(text, sizeof text, "%s%s%s%s", reason, ERR_GET_LIB(code) == ERR_LIB_SSL ? hint(code) : "",
             shaking && verified != X509_V_OK ? ": " : "",
             shaking && verified != X509_V_OK ? X509_verify_cert_error_string(verified) : "");
    if (!s->error) s->error = mem_strdup(text);
    s->state = TLS_FAILED;
    s->input_len = 0;
}

/* --- reading --- */

void tls_stream_feed(struct tls_stream *s, const uint8_t *data, size_t len)
{
    s->input = data;
    s->input_len = len;
    if (s->watch) record_watch_arrived(s->watch, len);
}

static ptrdiff_t without_bytes(struct tls_stream *s, int result)
{
    switch (SSL_get_error(s->ssl, result)) {
    case SSL_ERROR_WANT_READ: return 0;
    case SSL_ERROR_ZERO_RETURN: s->state = TLS_PEER_ENDED; return -1;
    default: fail(s, "unexpected end of the TLS connection"); return -1;
    }
}

/* OpenSSL's queue of errors is the thread's, and asked whenever a call brings nothing: it is empty here, for whoever
 * finds an error in it takes all. */
ptrdiff_t tls_stream_read(struct tls_stream *s, uint8_t *out, size_t room)
{
    if (s->state == TLS_FAILED || s->state == TLS_PEER_ENDED) return -1;
    size_t before = outq_pending(&s->output), got = 0;
    if (s->state == TLS_HANDSHAKE) {
        ERR_clear_error();
        int result = SSL_do_handshake(s->ssl);
        if (result != 1) return without_bytes(s, result);
        s->state = TLS_ESTABLISHED;
        ERR_clear_error();
    }
    if (s->input_len == 0 && !SSL_has_pending(s->ssl)) return 0;
    int result = SSL_read_ex(s->ssl, out, room, &got);
    size_t pending = outq_pending(&s->output);
    if (pending > before && pending > UNASKED_BYTES_MAX) {
        fail(s, "the peer makes us answer and does not read");
        return -1;
    }
    return result == 1 ? (ptrdiff_t)got : without_bytes(s, result);
}

/* --- writing --- */

int tls_stream_write(struct tls_stream *s, const uint8_t *data, size_t len)
{
    CHECK(s->state == TLS_ESTABLISHED || s->state == TLS_PEER_ENDED);
    while (len > 0) {
        size_t written = 0;
        if (SSL_write_ex(s->ssl, data, len, &written) != 1) {
            fail(s, "nothing can be written");
            return -1;
        }
        data += written;
        len -= written;
    }
    return 0;
}

void tls_stream_end(struct tls_stream *s)
{
    if (s->ended || (s->state != TLS_ESTABLISHED && s->state != TLS_PEER_ENDED)) return;
    s->ended = true;
    SSL_shutdown(s->ssl);
    ERR_clear_error();
}

/* --- somebody else goes on --- */

bool tls_stream_may_leave(const struct tls_stream *s)
{
    return s->watch && s->state == TLS_ESTABLISHED && !s->ended;
}

int tls_stream_keys(const struct tls_stream *s, struct tls_record_keys *out)
{
    if (!tls_stream_may_leave(s) || s->input_len || !outq_empty(&s->output)) return -1;
    return record_watch_keys(s->watch, s->ssl, out);
}
