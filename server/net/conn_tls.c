/* See conn_tls.h. Any process with a loop; touched by its loop's thread alone. */
#include "server/net/conn_tls.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/net/hold.h"
#include "server/net/kernel_tls.h"
#include "server/net/pool/loan.h"
#include "server/net/tls/record_keys.h"
#include "server/net/tls/stream.h"
#include "server/net/tls_relay.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/socket.h>

/* Encrypted bytes that one send may take: enough for it to be worth the call, few enough to stay in the cache. */
#define ENCRYPTED_AHEAD_BYTES ((size_t)64 * 1024)

struct conn_tls {
    struct tls_stream *stream;
    bool begun;    /* the handshake */
    bool told;     /* `connected` was called */
    bool leaving;  /* is detached, and its descriptor may leave it */
    uint8_t *held; /* ciphertext that came inside its own data callback, or while it pauses */
    size_t held_len;
    bool resuming;
    void (*paused)(void *arg); /* to be called; NULL: was, or nobody pauses */
    void *paused_arg;
};

/* --- life --- */

void conn_secure(struct conn *conn, const struct tls_context *context)
{
    CHECK(!conn->tls);
    conn->tls = mem_calloc(1, sizeof *conn->tls);
    conn->tls->stream = tls_stream_new(context);
}

void conn_tls_free(struct conn *conn)
{
    if (!conn->tls) return;
    tls_stream_free(conn->tls->stream);
    mem_free(conn->tls->held);
    mem_free(conn->tls);
}

bool conn_is_secure(const struct conn *conn)
{
    return conn->tls != NULL;
}

const char *conn_tls_error(const struct conn *conn)
{
    if (!conn->tls) return NULL;
    if (tls_stream_state(conn->tls->stream) == TLS_FAILED) return tls_stream_error(conn->tls->stream);
    return conn->tls->begun && !conn->tls->told ? "the other side has gone in the middle of the TLS handshake" : NULL;
}

bool conn_tls_is_shaking(const struct conn *conn)
{
    return !conn->tls->told;
}

/* --- output --- */

static struct outq *encrypted(const struct conn *conn)
{
    return tls_stream_output(conn->tls->stream);
}

static bool is_writable(const struct conn *conn)
{
    enum tls_stream_state state = tls_stream_state(conn->tls->stream);
    return conn->tls->told && (state == TLS_ESTABLISHED || state == TLS_PEER_ENDED);
}

size_t conn_tls_unsent(const struct conn *conn)
{
    return outq_pending(encrypted(conn));
}

/* Plain bytes that may leave. */
static size_t open_bytes(const struct conn *conn)
{
    size_t all = outq_pending(&conn->output);
    size_t open = conn->hold ? hold_open_bytes(conn->hold) : all;
    return open < all ? open : all;
}

bool conn_tls_may_send(const struct conn *conn)
{
    return !outq_empty(encrypted(conn)) || (is_writable(conn) && open_bytes(conn) > 0);
}

/* What is encrypted waits for no mark. */
static void flush_encrypted(struct conn *conn)
{
    if (outq_empty(encrypted(conn)) || list_contains(&conn->send_node) || conn->send_waiting) return;
    if (unlikely(conn->recalled)) return;
    list_push_back(conn->sends, &conn->send_node);
}

static void encrypt(struct conn *conn)
{
    size_t left = open_bytes(conn);
    while (left > 0 && outq_pending(encrypted(conn)) < ENCRYPTED_AHEAD_BYTES) {
        struct bytes front = outq_front(&conn->output);
        size_t n = front.len < TLS_RECORD_BYTES ? front.len : TLS_RECORD_BYTES;
        if (n > left) n = left;
        if (tls_stream_write(conn->tls->stream, front.ptr, n) != 0) {
            conn_fail_later(conn, EPROTO);
            return;
        }
        if (conn->hold) hold_consumed(conn->hold, n);
        outq_consume(&conn->output, n);
        if (conn->borrowed) loan_sent(conn_owner(conn), n);
        left -= n;
    }
}

unsigned conn_tls_gather(struct conn *conn, struct iovec *runs, unsigned room, size_t *total)
{
    if (is_writable(conn)) encrypt(conn);
    const struct outq *q = encrypted(conn);
    unsigned count = 0;
    *total = 0;
    for (const struct outq_chunk *c = q->head; c && count < room; c = c->next) {
        const uint8_t *start = c->data + c->consumed;
        const uint8_t *stop = c == q->tail ? q->cursor : c->data + c->filled;
        if (stop <= start) continue;
        runs[count++] = (struct iovec){.iov_base = (void *)start, .iov_len = (size_t)(stop - start)};
        *total += (size_t)(stop - start);
    }
    return count;
}

void conn_tls_consume(struct conn *conn, size_t n)
{
    outq_consume(encrypted(conn), n);
}

bool conn_tls_say_end(struct conn *conn)
{
    if (!is_writable(conn)) return false;
    tls_stream_end(conn->tls->stream);
    if (outq_empty(encrypted(conn))) return false; /* it has been said */
    flush_encrypted(conn);
    return true;
}

/* What was to be sent and is dropped is followed by no such word: it would look complete. */
void conn_tls_last_words(struct conn *conn)
{
    if (conn->sending || conn->send_waiting || conn->endpoint.fd < 0) return;
    if (is_writable(conn) && !conn_has_unsent(conn)) tls_stream_end(conn->tls->stream);
    struct bytes words = outq_front(encrypted(conn));
    if (words.len) (void)!send(conn->endpoint.fd, words.ptr, words.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* --- input --- */

static void hold_back(struct conn_tls *tls, const uint8_t *data, size_t len)
{
    tls->held = mem_realloc(tls->held, tls->held_len + len);
    memcpy(tls->held + tls->held_len, data, len);
    tls->held_len += len;
}

/* The owner hears that the handshake is done before he hears anything else. */
static void tell_connected(struct conn *conn)
{
    conn->tls->told = true;
    if (conn_has_unsent(conn)) conn_flush(conn);
    conn->delivering = true;
    conn->events->connected(conn, 0);
    conn->delivering = false;
}

static void deliver(struct conn *conn, const uint8_t *plain, size_t len)
{
    if (conn->state == CONN_DETACHING || (conn->state == CONN_OPEN && conn->paused)) {
        conn_hold(conn, plain, len);
    } else if (conn->state == CONN_OPEN) {
        conn->delivering = true;
        conn->events->data(conn, plain, len);
        conn->delivering = false;
    }
}

static bool hears(const struct conn *conn)
{
    return conn->state == CONN_OPEN || conn->state == CONN_DETACHING;
}

/* All of what was fed becomes plain bytes, several records at a time. */
static void take(struct conn *conn, const uint8_t *data, size_t len)
{
    struct tls_stream *stream = conn->tls->stream;
    uint8_t plain[INPUT_BYTES_EACH_TURN];
    ptrdiff_t got;
    conn->tls->begun = true;
    tls_stream_feed(stream, data, len);
    do {
        size_t filled = 0;
        while (sizeof plain - filled >= TLS_RECORD_BYTES &&
               (got = tls_stream_read(stream, plain + filled, sizeof plain - filled)) > 0)
            filled += (size_t)got;
        if (!conn->tls->told && tls_stream_state(stream) != TLS_HANDSHAKE && tls_stream_state(stream) != TLS_FAILED)
            tell_connected(conn);
        if (filled && hears(conn)) deliver(conn, plain, filled);
    } while (got > 0 && hears(conn));
}

static void take_all(struct conn *conn, const uint8_t *data, size_t len)
{
    take(conn, data, len);
    while (conn->tls->held_len && hears(conn) && !conn->paused) {
        uint8_t *held = conn->tls->held;
        size_t held_len = conn->tls->held_len;
        conn->tls->held = NULL;
        conn->tls->held_len = 0;
        take(conn, held, held_len);
        mem_free(held);
    }
}

static void conclude(struct conn *conn)
{
    if (conn->state == CONN_CLOSED) return;
    flush_encrypted(conn);
    if (!hears(conn) || conn->ended) return;
    enum tls_stream_state state = tls_stream_state(conn->tls->stream);
    if (state == TLS_PEER_ENDED)
        conn_fail_later(conn, 0);
    else if (state == TLS_FAILED && conn->state == CONN_OPEN && !conn->paused)
        conn_end(conn, EPROTO);
    else if (state == TLS_FAILED)
        conn_fail_later(conn, EPROTO);
    else if (unlikely(conn->endpoint.loop->flushed_bytes >= SEND_EARLY_BYTES))
        loop_send_early(conn->endpoint.loop);
}

void conn_tls_on_data(struct conn *conn, const uint8_t *data, size_t len)
{
    if (!hears(conn)) return;
    bool waits = conn->delivering || conn->paused || conn_tls_is_resuming(conn);
    bool is_behind = conn->tls->held_len > 0;
    if (waits || is_behind) hold_back(conn->tls, data, len);
    if (waits) return;
    take_all(conn, is_behind ? NULL : data, is_behind ? 0 : len);
    conclude(conn);
}

bool conn_tls_is_resuming(const struct conn *conn)
{
    return conn->tls && conn->tls->resuming && conn->state == CONN_OPEN;
}

void conn_tls_begin(struct conn *conn)
{
    take_all(conn, NULL, 0);
    conclude(conn);
}

/* --- pausing --- */

void conn_pause(struct conn *conn, void (*paused)(void *arg), void *arg)
{
    CHECK(conn->tls && conn->state == CONN_OPEN && !conn->paused);
    conn->paused = true;
    conn->tls->paused = paused;
    conn->tls->paused_arg = arg;
    if (conn->reading) conn->endpoint.loop->engine->conn_stop_reading(conn);
    conn_settle_later(conn);
}

void conn_resume(struct conn *conn)
{
    if (!conn->paused) return;
    conn->paused = false;
    conn->tls->paused = NULL;
    conn->tls->resuming = true;
    conn_settle_later(conn);
}

static void read_on(struct conn *conn)
{
    conn->reading = true;
    conn->endpoint.loop->engine->conn_read(conn);
}

/* Plain bytes that were held, then what is still encrypted. */
static void go_on(struct conn *conn)
{
    struct conn_aside *a = conn->aside;
    if (a && a->held_len) {
        uint8_t *held = a->held;
        size_t len = a->held_len;
        a->held = NULL;
        a->held_len = a->held_capacity = 0;
        deliver(conn, held, len);
        mem_free(held);
    }
    if (hears(conn)) take_all(conn, NULL, 0);
    conclude(conn);
}

bool conn_tls_settle(struct conn *conn)
{
    struct conn_tls *tls = conn->tls;
    if (conn->paused) {
        void (*paused)(void *) = tls->paused;
        tls->paused = NULL;
        if (paused) paused(tls->paused_arg);
        return true;
    }
    if (!tls->resuming) return false;
    tls->resuming = false;
    go_on(conn);
    if (conn->state != CONN_OPEN || conn->paused) return true;
    if (conn->ended) return false;
    if (!conn->reading) read_on(conn);
    return true;
}

/* --- lent to another thread --- */

struct conn_tls *conn_tls_take(struct conn *conn)
{
    struct conn_tls *tls = conn->tls;
    conn->tls = NULL;
    return tls;
}

void conn_tls_put(struct conn *conn, struct conn_tls *tls)
{
    conn->tls = tls;
    if (!tls) return;
    tls->resuming = true;
    conn_settle_later(conn);
    flush_encrypted(conn);
}

void conn_tls_input_wait(struct conn *conn, bool waits)
{
    if (!waits) {
        conn_resume(conn);
        return;
    }
    conn->paused = true;
    if (conn->reading) conn->endpoint.loop->engine->conn_stop_reading(conn);
}

/* --- detaching --- */

bool conn_tls_would_leave(struct conn *conn)
{
    conn->tls->leaving = tls_stream_may_leave(conn->tls->stream);
    return conn->tls->leaving;
}

bool conn_tls_is_read_on(const struct conn *conn)
{
    return conn->tls && !conn->tls->leaving;
}

static const char relayed[] = "encrypted by the server for the link process";

static void note_way(const struct conn *conn, const char *way, const char *why)
{
    struct address peer;
    char name[ADDRESS_TEXT_MAX];
    conn_peer_address(conn, &peer);
    address_text(&peer, name);
    log_notice("TLS of %s: %s%s%s", name, way, why ? ": " : "", why ? why : "");
}

static enum conn_tls_way let_leave(struct conn *conn)
{
    struct tls_record_keys keys;
    if (conn->tls->held_len) take_all(conn, NULL, 0);
    if (tls_stream_state(conn->tls->stream) == TLS_FAILED) return CONN_TLS_DIES;
    if (!hears(conn) || conn->tls->held_len || conn_has_unsent(conn) ||
        tls_stream_keys(conn->tls->stream, &keys) != 0) {
        note_way(conn, relayed, "the kernel cannot go on at this point");
        return CONN_TLS_STAYS;
    }
    enum kernel_tls_start result = kernel_tls_start(conn->endpoint.fd, &keys);
    const char *why = result == KERNEL_TLS_ON ? NULL : strerror(errno);
    OPENSSL_cleanse(&keys, sizeof keys);
    switch (result) {
    case KERNEL_TLS_ON: note_way(conn, "the kernel's from here on", why); return CONN_TLS_LEAVES;
    case KERNEL_TLS_REFUSED: note_way(conn, relayed, why); break;
    case KERNEL_TLS_BROKEN:
        note_way(conn, "the kernel took the keys of one direction only", why);
        shutdown(conn->endpoint.fd, SHUT_RDWR); /* last words would be encrypted twice */
        return CONN_TLS_DIES;
    }
    return CONN_TLS_STAYS;
}

/* Detaching was to be looked at again; of an open connection that would mean its end. */
static void forget_settling(struct conn *conn)
{
    if (conn->ended || conn->tls->resuming || !list_contains(&conn->settle_node)) return;
    list_remove(&conn->endpoint.loop->settling, &conn->settle_node);
}

static void stay(struct conn *conn)
{
    struct conn_aside *a = conn->aside;
    void (*detached)(void *, int, const uint8_t *, size_t) = a->detached;
    uint8_t *rest = a->held;
    size_t len = a->held_len;
    a->held = NULL;
    a->held_len = a->held_capacity = 0;
    conn->state = CONN_OPEN;
    if (conn->tls->resuming)
        conn_settle_later(conn);
    else
        forget_settling(conn);
    if (!conn->reading && !conn->ended) read_on(conn); /* before it is lent */
    int fd = tls_relay_start(conn);
    detached(a->detached_arg, fd, rest, len);
    mem_free(rest);
    if (fd < 0) conn_close(conn);
}

enum conn_tls_way conn_tls_hand_over(struct conn *conn)
{
    if (conn->tls->leaving) {
        enum conn_tls_way way = let_leave(conn);
        if (way != CONN_TLS_STAYS) return way;
    } else {
        note_way(conn, relayed, NULL);
    }
    stay(conn);
    return CONN_TLS_STAYS;
}
