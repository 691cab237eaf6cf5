/* A connection that its user waits for: non-blocking underneath, while poll() does the waiting and keeps the time.
 * Server process. */
#include "server/net/blocking_socket.h"

#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/net/lookup.h"
#include "server/net/tls/stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RECEIVE_BYTES ((size_t)16 * 1024)

struct blocking_socket {
    int fd;
    struct tls_stream *tls; /* NULL: plain */
    uint8_t *input;         /* with TLS: received, fed to it */
    uint8_t *plain;         /* with TLS: decrypted and not yet read, one record at most */
    size_t plain_at, plain_len;
};

static int start_connecting(const struct address *to)
{
    int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, (const struct sockaddr *)&to->storage, to->len) == 0 || errno == EINPROGRESS) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        return fd;
    }
    close(fd);
    return -1;
}

struct blocking_socket *blocking_socket_connect(const char *host, int port, int timeout_ms)
{
    struct address found[LOOKUP_ADDRESSES_MAX];
    int count = 0, fd = -1;
    lookup_within(host, port, AF_UNSPEC, timeout_ms, found, &count);
    for (int i = 0; i < count && fd < 0; i++) fd = start_connecting(&found[i]);
    if (fd < 0) return NULL;
    struct blocking_socket *s = mem_calloc(1, sizeof *s);
    s->fd = fd;
    return s;
}

void blocking_socket_close(struct blocking_socket *s)
{
    close(s->fd);
    tls_stream_free(s->tls);
    mem_free(s->input);
    mem_free(s->plain);
    mem_free(s);
}

/* --- bytes of the wire --- */

/* 0: something can be done. */
static int wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int64_t until_ms = clock_monotonic_ms() + timeout_ms, left_ms = timeout_ms;
    int ready;
    do {
        ready = poll(&p, 1, (int)left_ms);
        left_ms = until_ms - clock_monotonic_ms();
    } while (ready < 0 && errno == EINTR && left_ms > 0);
    if (ready < 0 && errno == EINTR) ready = 0;
    if (ready == 0) errno = ETIMEDOUT;
    return ready > 0 ? 0 : -1;
}

static int wire_write(int fd, const void *data, size_t len, int timeout_ms)
{
    const char *at = data;
    while (len > 0) {
        if (wait_for(fd, POLLOUT, timeout_ms) != 0) return -1;
        ssize_t written = send(fd, at, len, MSG_NOSIGNAL);
        if (written < 0 && errno != EAGAIN && errno != EINTR) return -1;
        if (written > 0) {
            at += written;
            len -= (size_t)written;
        }
    }
    return 0;
}

static ssize_t wire_read(int fd, void *data, size_t len, int timeout_ms)
{
    for (;;) {
        if (wait_for(fd, POLLIN, timeout_ms) != 0) return -1;
        ssize_t got = recv(fd, data, len, 0);
        if (got > 0) return got;
        if (got == 0) errno = ECONNRESET;
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) return -1;
    }
}

/* --- TLS --- */

static int send_encrypted(struct blocking_socket *s, int timeout_ms)
{
    struct outq *out = tls_stream_output(s->tls);
    while (!outq_empty(out)) {
        struct bytes front = outq_front(out);
        if (wire_write(s->fd, front.ptr, front.len, timeout_ms) != 0) return -1;
        outq_consume(out, front.len);
    }
    return 0;
}

/* Decrypts of what was fed. 1: there are plain bytes; 0: more has to come; -1: it is over. */
static int take_record(struct blocking_socket *s)
{
    ptrdiff_t got = tls_stream_read(s->tls, s->plain, TLS_RECORD_BYTES);
    s->plain_at = 0;
    s->plain_len = got > 0 ? (size_t)got : 0;
    if (got >= 0) return got > 0;
    errno = tls_stream_state(s->tls) == TLS_FAILED ? EPROTO : ECONNRESET;
    return -1;
}

/* Receives once: what it was fed before is used up. */
static int feed(struct blocking_socket *s, int timeout_ms)
{
    ssize_t got = wire_read(s->fd, s->input, RECEIVE_BYTES, timeout_ms);
    if (got > 0) tls_stream_feed(s->tls, s->input, (size_t)got);
    return got > 0 ? 0 : -1;
}

int blocking_socket_secure(struct blocking_socket *s, const struct tls_context *context, int timeout_ms, char *error,
                           size_t room)
{
    s->tls = tls_stream_new(context);
    s->plain = mem_alloc(TLS_RECORD_BYTES);
    s->input = mem_alloc(RECEIVE_BYTES);
    for (;;) {
        int record = take_record(s);
        if (send_encrypted(s, timeout_ms) != 0) break;
        if (record < 0) break;
        if (tls_stream_state(s->tls) == TLS_ESTABLISHED) return 0;
        if (feed(s, timeout_ms) != 0) break;
    }
    bool failed = tls_stream_state(s->tls) == TLS_FAILED;
    if (failed) errno = EPROTO;
    snprintf(error, room, "%s", failed ? tls_stream_error(s->tls) : strerror(errno));
    return -1;
}

static ssize_t tls_read(struct blocking_socket *s, void *data, size_t len, int timeout_ms)
{
    while (s->plain_len == 0) {
        int record = take_record(s);
        if (record < 0 || (record == 0 && feed(s, timeout_ms) != 0)) return -1;
    }
    size_t n = s->plain_len < len ? s->plain_len : len;
    memcpy(data, s->plain + s->plain_at, n);
    s->plain_at += n;
    s->plain_len -= n;
    return (ssize_t)n;
}

/* --- either --- */

int blocking_socket_write(struct blocking_socket *s, const void *data, size_t len, int timeout_ms)
{
    if (!s->tls) return wire_write(s->fd, data, len, timeout_ms);
    for (const uint8_t *at = data; len > 0;) {
        size_t n = len < TLS_RECORD_BYTES ? len : TLS_RECORD_BYTES;
        if (tls_stream_write(s->tls, at, n) != 0) return -1;
        if (send_encrypted(s, timeout_ms) != 0) return -1;
        at += n;
        len -= n;
    }
    return 0;
}

ssize_t blocking_socket_read(struct blocking_socket *s, void *data, size_t len, int timeout_ms)
{
    return s->tls ? tls_read(s, data, len, timeout_ms) : wire_read(s->fd, data, len, timeout_ms);
}

/* Session tickets may have come, which are no bytes of the other side's user. */
bool blocking_socket_is_quiet(struct blocking_socket *s)
{
    uint8_t byte;
    if (!s->tls) return recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
    while (s->plain_len == 0 && take_record(s) == 0) {
        ssize_t got = recv(s->fd, s->input, RECEIVE_BYTES, MSG_DONTWAIT);
        if (got <= 0) return got < 0 && errno == EAGAIN;
        tls_stream_feed(s->tls, s->input, (size_t)got);
    }
    return false;
}
