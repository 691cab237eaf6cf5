/* The life of a connection, the same whatever engine moves its bytes. Any process with a loop.
 *
 * Two rules hold it together. The end of input does not overtake output: a client that sends its commands and shuts its
 * side down still gets its replies, because `closed` waits until nothing is left to send. And nobody is called in the
 * middle of his own data callback: input that a turn inside it brings in is held until it returns. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/prefetch.h"
#include "server/net/conn_tls.h"
#include "server/net/engine.h"
#include "server/net/hold.h"
#include "server/net/kernel_tls.h"
#include "server/net/pool/loan.h"

/* One system call never gets more: keeps every length an int, as completions report it. */
#define GATHER_BYTES_MAX (1u << 30)
/* What a graceful close reads and throws away, so that it does not turn into a reset that overtakes the reply. */
#define CLOSE_DISCARD_BYTES (1u << 20)

/* --- opening --- */

static struct conn *conn_new(struct loop *loop, int fd, enum conn_state state, const struct conn_events *events,
                             void *owner)
{
    struct conn *conn = mem_calloc(1, sizeof(*conn));
    endpoint_init(&conn->endpoint, loop, ENDPOINT_CONN, fd);
    conn->sends = &loop->sends;
    conn->events = events;
    conn->owner = owner;
    conn->state = (uint8_t)state;
    return conn;
}

static void start_reading(struct conn *conn)
{
    conn->reading = true;
    conn->endpoint.loop->engine->conn_read(conn);
}

static struct conn_aside *aside(struct conn *conn)
{
    if (!conn->aside) conn->aside = mem_calloc(1, sizeof(*conn->aside));
    return conn->aside;
}

struct conn *conn_open(struct loop *loop, int fd, const struct conn_events *events, void *owner)
{
    struct conn *conn = conn_new(loop, fd, CONN_OPEN, events, owner);
    start_reading(conn);
    return conn;
}

struct conn *conn_borrow(struct loop *loop, int fd, struct conn_tls *tls, const struct conn_events *events, void *owner)
{
    struct conn *conn = conn_new(loop, fd, CONN_OPEN, events, owner);
    conn->borrowed = true;
    conn_tls_put(conn, tls);
    start_reading(conn);
    return conn;
}

struct conn *conn_connect(struct loop *loop, const struct address *to, const struct address *source,
                          const struct conn_events *events, void *owner)
{
    int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return NULL;
    if (source && source->len && bind(fd, (const struct sockaddr *)&source->storage, source->len) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return NULL;
    }
    struct conn *conn = conn_new(loop, fd, CONN_CONNECTING, events, owner);
    aside(conn)->to = *to;
    loop->engine->conn_connect(conn);
    return conn;
}

/* --- the end --- */

void conn_free(struct conn *conn)
{
    outq_clear(&conn->output);
    conn_tls_free(conn);
    mem_free(conn->turn_buffer);
    if (conn->aside) mem_free(conn->aside->held);
    mem_free(conn->aside);
    mem_free(conn);
}

static void retire(struct conn *conn)
{
    struct loop *loop = conn->endpoint.loop;
    conn->state = CONN_CLOSED;
    if (unlikely(conn->tls != NULL)) conn_tls_last_words(conn);
    if (unlikely(conn->hold != NULL)) hold_forget(conn);
    if (list_contains(&conn->settle_node)) list_remove(&loop->settling, &conn->settle_node);
    /* A send under way stays in the engine's list: it still refers to the output. */
    if (list_contains(&conn->send_node) && conn->sending == 0) list_remove(conn->sends, &conn->send_node);
    if (unlikely(conn->loan != NULL)) loan_end(conn);
    /* The engine or an I/O thread may have it for a while: a limit of memory would evict keys for what is gone. */
    outq_count(&conn->output, false);
    endpoint_retire(&conn->endpoint);
}

/* Conn still answers for its addresses inside the call, and is gone afterwards. */
void conn_end(struct conn *conn, int error)
{
    if (unlikely(conn->borrowed)) {
        if (!conn->told_end) conn->events->closed(conn, error);
        conn->told_end = true;
        return;
    }
    conn->state = CONN_CLOSED;
    if (unlikely(conn->tls != NULL) && conn_tls_is_shaking(conn))
        conn->events->connected(conn, error ? error : ECONNRESET);
    else
        conn->events->closed(conn, error);
    retire(conn);
}

void conn_settle_later(struct conn *conn)
{
    struct loop *loop = conn->endpoint.loop;
    if (list_contains(&conn->settle_node)) return;
    conn->settle_turn = loop->turns;
    list_push_back(&loop->settling, &conn->settle_node);
}

static void close_gracefully(struct conn *conn)
{
    int fd = conn->endpoint.fd;
    if (unlikely(conn->tls != NULL) && conn_tls_say_end(conn)) return;
    shutdown(fd, SHUT_WR);
    recv(fd, NULL, CLOSE_DISCARD_BYTES, MSG_TRUNC | MSG_DONTWAIT);
    retire(conn);
}

void conn_close(struct conn *conn)
{
    if (conn->state == CONN_CLOSED) return;
    /* The kernel must not read foreign memory any more, not even until the engine has withdrawn the send. */
    if (conn->in_place_left && conn->send_waiting) shutdown(conn->endpoint.fd, SHUT_RDWR);
    retire(conn);
}

void conn_close_after_flush(struct conn *conn)
{
    if (conn->state == CONN_CLOSED || conn->state == CONN_CLOSING) return;
    if (unlikely(conn->loan != NULL) && loan_end(conn)) {
        conn->state = CONN_CLOSING;
        return;
    }
    if (unlikely(conn->tls != NULL) && conn_tls_is_shaking(conn)) {
        retire(conn);
        return;
    }
    if (conn->state == CONN_CONNECTING || (!conn_has_unsent(conn) && !conn->tls)) {
        close_gracefully(conn);
        return;
    }
    conn->state = CONN_CLOSING;
    if (conn->reading) conn->endpoint.loop->engine->conn_stop_reading(conn);
    if (likely(conn_has_unsent(conn)))
        conn_flush(conn);
    else
        close_gracefully(conn);
}

/* --- detaching --- */

static void hand_over(struct conn *conn, bool alive)
{
    struct conn_aside *a = conn->aside;
    int fd = -1;
    if (unlikely(conn->tls != NULL) && alive) {
        enum conn_tls_way way = conn_tls_hand_over(conn);
        if (way == CONN_TLS_STAYS) return;
        alive = way == CONN_TLS_LEAVES;
    }
    if (alive) {
        conn->endpoint.loop->engine->release(&conn->endpoint);
        fd = conn->endpoint.fd;
        conn->endpoint.fd = -1;
    }
    retire(conn);
    a->detached(a->detached_arg, fd, a->held, a->held_len);
}

static void give_up(struct conn *conn)
{
    struct loan *loan = conn->owner;
    loan->tls = conn_tls_take(conn);
    hand_over(conn, true);
}

static void give_up_when_still(struct conn *conn)
{
    if (conn->reading || conn->delivering || conn->send_waiting || conn->sending)
        conn_settle_later(conn);
    else
        give_up(conn);
}

static void hand_over_when_still(struct conn *conn)
{
    if (unlikely(conn->recalled)) {
        conn_settle_later(conn);
        return;
    }
    bool still = !conn->reading || conn_tls_is_read_on(conn);
    if (still && !conn->delivering && !conn->send_waiting && !conn_has_unsent(conn)) hand_over(conn, true);
}

static void begin_detaching(struct conn *conn, void (*detached)(void *arg, int fd, const uint8_t *rest, size_t len),
                            void *arg)
{
    CHECK(conn->state == CONN_OPEN);
    conn->state = CONN_DETACHING;
    aside(conn)->detached = detached;
    conn->aside->detached_arg = arg;
}

void conn_detach(struct conn *conn, void (*detached)(void *arg, int fd, const uint8_t *rest, size_t len), void *arg)
{
    begin_detaching(conn, detached, arg);
    if (unlikely(conn->loan != NULL) && loan_end(conn)) return; /* conn_on_returned() goes on */
    bool rests = !conn->tls || conn_tls_would_leave(conn);
    if (conn->reading && rests) conn->endpoint.loop->engine->conn_stop_reading(conn);
    conn_flush(conn);
    conn_settle_later(conn);
}

void conn_give_up(struct conn *conn, void (*detached)(void *arg, int fd, const uint8_t *rest, size_t len), void *arg)
{
    CHECK(conn->borrowed);
    begin_detaching(conn, detached, arg);
    conn->recalled = true;
    if (conn->reading) conn->endpoint.loop->engine->conn_stop_reading(conn);
    if (conn->send_waiting) conn->endpoint.loop->engine->conn_stop_waiting(conn);
    if (list_contains(&conn->send_node) && conn->sending == 0) list_remove(conn->sends, &conn->send_node);
    conn_settle_later(conn);
}

/* --- an I/O thread has given it back --- */

static void go_on_closing(struct conn *conn, int error)
{
    conn->state = CONN_OPEN;
    if (error)
        retire(conn);
    else
        conn_close_after_flush(conn);
}

static void go_on_detaching(struct conn *conn, bool ended, int error)
{
    if (conn->tls && !conn_tls_would_leave(conn) && !ended) start_reading(conn);
    conn->ended = error != 0; /* what has only ended is read on, where it ends again */
    conn->end_error = error;
    conn_flush(conn);
    conn_settle_later(conn);
}

static void go_on(struct conn *conn, const uint8_t *rest, size_t len, bool ended, int error)
{
    if (!ended) start_reading(conn);
    if (conn_has_unsent(conn)) conn_flush(conn);
    if (unlikely(conn->tls != NULL)) { /* plain bytes, and encrypted ones may be behind them */
        if (len) conn_hold(conn, rest, len);
        if (ended) conn_fail_later(conn, error);
        return;
    }
    if (len) conn_on_data(conn, rest, len);
    if (ended) conn_on_end(conn, error);
}

void conn_on_returned(struct conn *conn, const uint8_t *rest, size_t len, bool ended, int error)
{
    switch ((enum conn_state)conn->state) {
    case CONN_OPEN: go_on(conn, rest, len, ended, error); break;
    case CONN_CLOSING: go_on_closing(conn, error); break;
    case CONN_DETACHING:
        if (len) conn_hold(conn, rest, len);
        go_on_detaching(conn, ended, error);
        break;
    case CONN_CONNECTING: UNREACHABLE();
    case CONN_CLOSED:
        if (unlikely(conn->tls != NULL)) conn_tls_last_words(conn);
        break;
    }
}

/* --- input --- */

void conn_hold(struct conn *conn, const uint8_t *data, size_t len)
{
    struct conn_aside *a = aside(conn);
    if (a->held_len + len > a->held_capacity) {
        a->held_capacity = 2 * (a->held_len + len);
        a->held = mem_realloc(a->held, a->held_capacity);
    }
    memcpy(a->held + a->held_len, data, len);
    a->held_len += len;
}

static void deliver_held(struct conn *conn)
{
    struct conn_aside *a = conn->aside;
    while (a->held_len > 0 && conn->state == CONN_OPEN) {
        uint8_t *data = a->held;
        size_t len = a->held_len;
        a->held = NULL;
        a->held_len = a->held_capacity = 0;
        conn->delivering = true;
        conn->events->data(conn, data, len);
        conn->delivering = false;
        mem_free(data);
    }
}

void conn_on_data(struct conn *conn, const uint8_t *data, size_t len)
{
    conn->endpoint.loop->reads++;
    if (unlikely(conn->tls != NULL)) {
        conn_tls_on_data(conn, data, len);
        return;
    }
    if (unlikely(conn->state != CONN_OPEN || conn->delivering)) {
        if (conn->state == CONN_OPEN || conn->state == CONN_DETACHING) conn_hold(conn, data, len);
        return;
    }
    conn->delivering = true;
    conn->events->data(conn, data, len);
    conn->delivering = false;
    if (unlikely(conn->aside != NULL)) deliver_held(conn);
    if (unlikely(conn->endpoint.loop->flushed_bytes >= SEND_EARLY_BYTES)) loop_send_early(conn->endpoint.loop);
}

void conn_fail_later(struct conn *conn, int error)
{
    conn->ended = true;
    conn->end_error = error;
    conn_settle_later(conn);
}

void conn_on_end(struct conn *conn, int error)
{
    conn->endpoint.loop->reads++;
    conn->reading = false;
    if (conn->state == CONN_CLOSED) return;
    if (unlikely(error == EIO)) error = kernel_tls_end_of(conn->endpoint.fd);
    /* A peer that has only finished its own side still gets what it is owed. */
    if (conn->state == CONN_CLOSING && error == 0) return;
    bool waits = conn->delivering || conn->paused || conn_tls_is_resuming(conn);
    if (conn->state != CONN_OPEN || waits || (error == 0 && conn_has_unsent(conn)))
        conn_fail_later(conn, error);
    else
        conn_end(conn, error);
}

void conn_on_read_stopped(struct conn *conn)
{
    conn->reading = false;
    if (conn->state == CONN_DETACHING) hand_over_when_still(conn);
}

void conn_input_wait(struct conn *conn, bool waits)
{
    if (conn->paused == waits) return;
    if (unlikely(conn->tls != NULL)) {
        conn_tls_input_wait(conn, waits);
        return;
    }
    conn->paused = waits;
    if (waits && conn->reading)
        conn->endpoint.loop->engine->conn_stop_reading(conn);
    else if (!waits && !conn->reading && !conn->ended && conn->state == CONN_OPEN)
        start_reading(conn);
}

void conn_on_connected(struct conn *conn, int error)
{
    if (conn->state != CONN_CONNECTING) return;
    if (error) {
        conn->state = CONN_CLOSED;
        conn->events->connected(conn, error);
        retire(conn);
        return;
    }
    conn->state = CONN_OPEN;
    start_reading(conn);
    if (unlikely(conn->tls != NULL)) {
        conn_tls_begin(conn);
        return;
    }
    if (conn_has_unsent(conn)) conn_flush(conn);
    conn->events->connected(conn, 0);
}

void conn_settle(struct conn *conn)
{
    switch ((enum conn_state)conn->state) {
    case CONN_CONNECTING: conn_on_connected(conn, conn->end_error); break;
    case CONN_OPEN:
        if (unlikely(conn->tls != NULL) && conn_tls_settle(conn)) break;
        if (conn->end_error == 0 && conn_has_unsent(conn))
            conn_flush(conn); /* conn_on_sent() will bring us here again */
        else
            conn_end(conn, conn->end_error);
        break;
    case CONN_CLOSING:
        if (conn->end_error) retire(conn);
        break;
    case CONN_DETACHING:
        if (unlikely(conn->recalled))
            give_up_when_still(conn);
        else if (conn->ended)
            hand_over(conn, false);
        else
            hand_over_when_still(conn);
        break;
    case CONN_CLOSED: break;
    }
}

/* --- output --- */

void conn_prefetch(const struct conn *conn)
{
    if (conn) prefetch_bytes(conn, sizeof *conn);
}

struct outq *conn_output(struct conn *conn)
{
    return &conn->output;
}

void conn_flush(struct conn *conn)
{
    if (unlikely(conn->endpoint.loop->holding)) return hold_flush(conn);
    if (list_contains(&conn->send_node) || conn->send_waiting) return;
    if (unlikely(conn->state == CONN_CONNECTING || conn->state == CONN_CLOSED)) return;
    list_push_back(conn->sends, &conn->send_node);
    conn->endpoint.loop->flushed_bytes += outq_pending(&conn->output);
}

/* The last bytes that a thread has sent it counts when it wakes again. */
size_t conn_lent_unsent(const struct conn *conn)
{
    return conn->loan ? loan_unsent(conn->loan) : 0;
}

size_t conn_unsent(const struct conn *conn)
{
    size_t unsent = outq_pending(&conn->output) + conn->in_place_left;
    if (unlikely(conn->tls != NULL)) unsent += conn_tls_unsent(conn);
    if (unlikely(conn->loan != NULL)) unsent += conn_lent_unsent(conn);
    return unsent;
}

void conn_send_in_place(struct conn *conn, const void *data, size_t len)
{
    CHECK(conn->in_place_left == 0 && !conn->tls);
    conn->in_place = data;
    conn->in_place_left = len;
    conn->in_place_behind = outq_pending(&conn->output);
    conn_flush(conn);
}

size_t conn_in_place_left(const struct conn *conn)
{
    return conn->in_place_left;
}

static size_t add_run(struct iovec *run, const uint8_t *data, size_t len, size_t room)
{
    run->iov_base = (void *)data;
    run->iov_len = len < room ? len : room;
    return run->iov_len;
}

/* Output first, as far as it was there before the foreign bytes, then those. Later output follows another time. */
unsigned conn_gather(struct conn *conn, struct iovec *runs, unsigned room, size_t *total)
{
    if (unlikely(conn->tls != NULL)) return conn_tls_gather(conn, runs, room, total);
    const struct outq *q = &conn->output;
    size_t limit =
        conn->in_place_left && conn->in_place_behind < GATHER_BYTES_MAX ? conn->in_place_behind : GATHER_BYTES_MAX;
    if (unlikely(conn->hold != NULL) && limit > hold_open_bytes(conn->hold)) limit = hold_open_bytes(conn->hold);
    size_t sum = 0;
    unsigned count = 0;
    for (const struct outq_chunk *c = q->head; c && count < room && sum < limit; c = c->next) {
        const uint8_t *start = c->data + c->consumed;
        const uint8_t *stop = c == q->tail ? q->cursor : c->data + c->filled;
        if (stop > start) sum += add_run(&runs[count++], start, (size_t)(stop - start), limit - sum);
    }
    if (conn->in_place_left && sum == conn->in_place_behind && count < room)
        sum += add_run(&runs[count++], conn->in_place, conn->in_place_left, GATHER_BYTES_MAX - sum);
    *total = sum;
    return count;
}

bool conn_may_send(const struct conn *conn)
{
    if (unlikely(conn->recalled)) return false;
    if (unlikely(conn->tls != NULL)) return conn_tls_may_send(conn);
    return conn_has_unsent(conn) && (likely(!conn->hold) || hold_open_bytes(conn->hold) > 0);
}

static void consume(struct conn *conn, size_t n)
{
    if (unlikely(conn->tls != NULL)) {
        conn_tls_consume(conn, n);
        return;
    }
    if (unlikely(conn->hold != NULL)) hold_consumed(conn->hold, n);
    if (likely(conn->in_place_left == 0)) {
        outq_consume(&conn->output, n);
        return;
    }
    size_t first = n < conn->in_place_behind ? n : conn->in_place_behind;
    outq_consume(&conn->output, first);
    conn->in_place_behind -= first;
    conn->in_place += n - first;
    conn->in_place_left -= n - first;
}

static void count_sent(struct conn *conn, size_t n)
{
    conn->endpoint.loop->writes++;
    conn->endpoint.loop->bytes_sent += n;
}

void conn_take_output(struct conn *conn, struct outq *to)
{
    count_sent(conn, outq_pending(&conn->output));
    outq_move(to, &conn->output);
}

void conn_copy_output(struct conn *conn, uint8_t *to)
{
    count_sent(conn, outq_pending(&conn->output));
    outq_take(&conn->output, to);
}

void conn_on_sent(struct conn *conn, size_t n)
{
    if (n == 0 || conn->state == CONN_CLOSED) return;
    count_sent(conn, n);
    consume(conn, n);
    if (unlikely(conn->borrowed) && !conn->tls) loan_sent(conn->owner, n);
    if (conn_has_unsent(conn)) return;
    if (likely(conn->state == CONN_OPEN)) {
        if (unlikely(conn->ended))
            conn_settle_later(conn);
        else if (conn->events->drained)
            conn->events->drained(conn);
    } else if (conn->state == CONN_CLOSING) {
        close_gracefully(conn);
    } else {
        hand_over_when_still(conn);
    }
}

void conn_on_send_failed(struct conn *conn, int error)
{
    if (conn->state == CONN_CLOSED) return;
    if (unlikely(conn->borrowed && conn->told_end)) return;
    if (conn->state != CONN_OPEN || conn->delivering || conn->paused || conn_tls_is_resuming(conn))
        conn_fail_later(conn, error);
    else
        conn_end(conn, error);
}

/* --- what it is --- */

void conn_give(struct conn *conn, const struct conn_events *events, void *owner)
{
    conn->events = events;
    conn->owner = owner;
}

void *conn_owner(const struct conn *conn)
{
    return conn->owner;
}

struct loop *conn_loop(const struct conn *conn)
{
    return conn->endpoint.loop;
}

bool conn_is_lent(const struct conn *conn)
{
    return conn->loan != NULL;
}

int conn_fd(const struct conn *conn)
{
    return conn->endpoint.fd;
}

void conn_set_nodelay(struct conn *conn, bool on)
{
    int value = on;
    setsockopt(conn->endpoint.fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value));
}

void conn_set_keepalive(struct conn *conn, int interval_s)
{
    int fd = conn->endpoint.fd, on = interval_s > 0;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (!on) return;
    /* Idle for one interval, then three probes a third of it apart: a dead peer is noticed after two intervals. */
    int probe_s = interval_s / 3 > 0 ? interval_s / 3 : 1, probes = 3;
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &interval_s, sizeof(interval_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe_s, sizeof(probe_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

void conn_local_address(const struct conn *conn, struct address *out)
{
    out->len = sizeof(out->storage);
    if (getsockname(conn->endpoint.fd, (struct sockaddr *)&out->storage, &out->len) != 0) out->len = 0;
}

void conn_peer_address(const struct conn *conn, struct address *out)
{
    out->len = sizeof(out->storage);
    if (getpeername(conn->endpoint.fd, (struct sockaddr *)&out->storage, &out->len) != 0) out->len = 0;
    /* Who connects over a Unix socket has no name of his own: Redis shows the socket's. */
    if (out->len && out->storage.ss_family == AF_UNIX && out->len <= sizeof(sa_family_t)) conn_local_address(conn, out);
}
