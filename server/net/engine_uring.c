/* The io_uring engine: one entry into the kernel per turn, which submits every send of the turn that ends, and waits
 * for the input of the next. Any process with a loop.
 *
 * Sends. A send is submitted so that it never waits (MSG_DONTWAIT), counts as failed when it could not take everything
 * (MSG_WAITALL), and reports only failure (IOSQE_CQE_SKIP_SUCCESS). When the entry returns, each send has therefore
 * either a completion, which says how far it came, or has left whole. Were success reported too, the wait would end at
 * once with the reports of our own sends, and every turn would enter the kernel twice. Only where somebody waits for
 * the end of the output, or more of it than one send takes, is success reported. What did not fit goes on in a second
 * kind of send, which waits for the socket. A protocol that does not know MSG_WAITALL refuses the first send: from then
 * on that connection sends without it, and success is reported.
 *
 * Receives are multishot, into buffers the kernel picks from the provided ring. The kernel fills them with all that a
 * connection has to say; of that, a turn takes INPUT_BYTES_EACH_TURN. Buffers beyond wait for the next turns, and as
 * long as the connection has so much to say, it is read into a buffer of its own, by one receive each turn. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/prefetch.h"
#include "server/net/engine.h"
#include "server/net/uring.h"

/* What a completion is of: the low bits of its user data, the rest is the endpoint. 0 is nobody's. */
enum operation {
    OPERATION_NONE,
    OPERATION_RECEIVE,
    OPERATION_SEND_NOW,
    OPERATION_SEND_WAITING,
    OPERATION_CONNECT,
    OPERATION_ACCEPT,
    OPERATION_POLL,
};
#define OPERATION_MASK UINT64_C(15)

static struct uring *uring_of(const struct loop *loop)
{
    return loop->engine_state;
}

static int uring_start(struct loop *loop, const struct loop_settings *settings)
{
    loop->engine_state = uring_new(settings->max_connections_hint);
    return loop->engine_state ? 0 : -1;
}

static void uring_stop(struct loop *loop)
{
    uring_free(uring_of(loop));
}

static void uring_abandon(struct loop *loop)
{
    close(uring_of(loop)->ring.ring_fd);
}

/* --- submissions --- */

static void submit_all(struct uring *u)
{
    while (io_uring_sq_ready(&u->ring) > 0) {
        int result = io_uring_submit(&u->ring);
        CHECK(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY);
    }
    u->gathers_used = 0;
}

static struct io_uring_sqe *take_entry(struct uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (unlikely(!sqe)) {
        submit_all(u);
        sqe = io_uring_get_sqe(&u->ring);
    }
    return sqe;
}

static uint64_t tag(const struct endpoint *endpoint, enum operation operation)
{
    return (uintptr_t)endpoint | operation;
}

static void cancel(struct endpoint *endpoint, enum operation operation)
{
    struct io_uring_sqe *sqe = take_entry(uring_of(endpoint->loop));
    io_uring_prep_cancel64(sqe, tag(endpoint, operation), 0);
    io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    io_uring_sqe_set_data64(sqe, OPERATION_NONE);
}

static uint32_t bit(enum operation operation)
{
    return 1u << operation;
}

/* Notes an operation that will hold on to the endpoint until its (last) completion. */
static void begin(struct endpoint *endpoint, struct io_uring_sqe *sqe, enum operation operation)
{
    io_uring_sqe_set_data64(sqe, tag(endpoint, operation));
    endpoint->armed |= bit(operation);
    endpoint->in_flight++;
}

static void finish(struct endpoint *endpoint, enum operation operation)
{
    endpoint->armed &= ~bit(operation);
    endpoint->in_flight--;
}

/* --- receiving --- */

static void uring_conn_read(struct conn *conn)
{
    struct io_uring_sqe *sqe = take_entry(uring_of(conn->endpoint.loop));
    if (unlikely(conn->turn_buffer != NULL)) {
        io_uring_prep_recv(sqe, conn->endpoint.fd, conn->turn_buffer, INPUT_BYTES_EACH_TURN, 0);
    } else {
        io_uring_prep_recv_multishot(sqe, conn->endpoint.fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = URING_BUFFER_GROUP;
    }
    begin(&conn->endpoint, sqe, OPERATION_RECEIVE);
}

static bool is_receiving(const struct conn *conn)
{
    return conn->endpoint.armed & bit(OPERATION_RECEIVE);
}

/* Says nothing about the connection: our buffers ran out, or we have withdrawn the operation. */
static bool is_passing(int error)
{
    return error == ENOBUFS || error == ECANCELED || error == EAGAIN || error == EINTR;
}

/* A receive has ended, and all that it brought is delivered. */
static void read_on(struct conn *conn, int result)
{
    if (result == 0 || (result < 0 && !is_passing(-result)))
        conn_on_end(conn, -result);
    else if (conn->state == CONN_OPEN && !conn->paused)
        uring_conn_read(conn);
    else
        conn_on_read_stopped(conn);
}

/* --- a turn's worth of input, and buffers that wait --- */

static bool has_had_its_turn(const struct conn *conn)
{
    return conn->input_turn == (uint32_t)conn->endpoint.loop->turns && conn->input_bytes >= INPUT_BYTES_EACH_TURN;
}

static void deliver(struct conn *conn, const uint8_t *data, size_t len)
{
    uint32_t turn = (uint32_t)conn->endpoint.loop->turns;
    if (conn->input_turn != turn) conn->input_bytes = 0;
    conn->input_turn = turn;
    conn->input_bytes += (uint32_t)len;
    conn_on_data(conn, data, len);
}

static void put_waiting(struct uring *u, struct conn *conn, unsigned id, size_t len)
{
    u->waits[id] = (struct uring_waiting){.len = (uint16_t)len};
    if (conn->waiting_first)
        u->waits[conn->waiting_last - 1].next = (uint16_t)(id + 1);
    else
        conn->waiting_first = (uint16_t)(id + 1);
    conn->waiting_last = (uint16_t)(id + 1);
    if (!list_contains(&conn->waiting_node)) list_push_back(&u->waiting, &conn->waiting_node);
    if (conn->turn_buffer) return;
    conn->turn_buffer = mem_alloc(INPUT_BYTES_EACH_TURN);
    if (is_receiving(conn)) cancel(&conn->endpoint, OPERATION_RECEIVE);
}

static unsigned take_waiting(struct uring *u, struct conn *conn)
{
    unsigned id = conn->waiting_first - 1u;
    conn->waiting_first = u->waits[id].next;
    return id;
}

/* Whoever is inside his own data callback (a turn inside a turn delivers) is left for later. */
static void deliver_waiting_of(struct uring *u, struct conn *conn)
{
    while (conn->waiting_first && !conn->delivering && !has_had_its_turn(conn)) {
        unsigned id = take_waiting(u, conn);
        deliver(conn, uring_buffer(u, id), u->waits[id].len);
        uring_provide(u, id);
    }
    if (conn->waiting_first) {
        if (!list_contains(&conn->waiting_node)) list_push_back(&u->waiting, &conn->waiting_node);
    } else if (!conn->endpoint.gone && conn->reading && !is_receiving(conn)) {
        read_on(conn, conn->read_result);
    }
}

static void deliver_waiting(struct uring *u)
{
    for (size_t left = u->waiting.count; left > 0 && list_first(&u->waiting); left--) {
        struct conn *conn = list_entry(list_first(&u->waiting), struct conn, waiting_node);
        list_remove(&u->waiting, &conn->waiting_node);
        deliver_waiting_of(u, conn);
    }
}

/* Nothing more is delivered as input; what conn_on_data() does with it depends on why. */
static void end_waiting(struct uring *u, struct conn *conn)
{
    if (list_contains(&conn->waiting_node)) list_remove(&u->waiting, &conn->waiting_node);
    while (conn->waiting_first) {
        unsigned id = take_waiting(u, conn);
        conn_on_data(conn, uring_buffer(u, id), u->waits[id].len);
        uring_provide(u, id);
    }
}

static void uring_conn_stop_reading(struct conn *conn)
{
    end_waiting(uring_of(conn->endpoint.loop), conn);
    if (is_receiving(conn)) {
        cancel(&conn->endpoint, OPERATION_RECEIVE);
        return;
    }
    conn->reading = false;
    if (conn->read_result <= 0 && !is_passing(-conn->read_result)) conn_fail_later(conn, -conn->read_result);
}

static void uring_release(struct endpoint *endpoint)
{
    if (endpoint->kind == ENDPOINT_CONN) end_waiting(uring_of(endpoint->loop), (struct conn *)endpoint);
    for (enum operation operation = OPERATION_RECEIVE; operation <= OPERATION_POLL; operation++)
        if (endpoint->armed & bit(operation)) cancel(endpoint, operation);
}

/* The kernel has put input into one of our buffers, which is given back when the input is delivered. */
static void received_buffer(struct uring *u, struct conn *conn, unsigned id, size_t len)
{
    if (likely(len > 0)) {
        arrivals_note(&u->arrivals, &conn->spoke_in);
        if (unlikely(conn->waiting_first || has_had_its_turn(conn)) && conn->state == CONN_OPEN) {
            put_waiting(u, conn, id, len);
            return;
        }
        deliver(conn, uring_buffer(u, id), len);
    }
    uring_provide(u, id);
}

static void received_own(struct conn *conn, size_t len)
{
    uint8_t *buffer = conn->turn_buffer;
    deliver(conn, buffer, len);
    if (len == INPUT_BYTES_EACH_TURN) return;
    conn->turn_buffer = NULL;
    mem_free(buffer);
}

static void received(struct uring *u, struct conn *conn, int result, unsigned flags)
{
    size_t len = result > 0 ? (size_t)result : 0;
    if (flags & IORING_CQE_F_BUFFER)
        received_buffer(u, conn, flags >> IORING_CQE_BUFFER_SHIFT, len);
    else if (unlikely(len > 0))
        received_own(conn, len);
    if (likely(flags & IORING_CQE_F_MORE)) return;

    finish(&conn->endpoint, OPERATION_RECEIVE);
    if (result == -ENOBUFS) u->starved = true;
    conn->read_result = result;
    if (likely(!conn->waiting_first)) read_on(conn, result);
}

/* --- sending --- */

static void prepare_send(struct uring *u, struct io_uring_sqe *sqe, struct conn *conn, int flags)
{
    struct uring_gather *gather = &u->gathers[u->gathers_used];
    unsigned count = conn_gather(conn, gather->runs, URING_GATHER_RUNS, &conn->sending);
    int fd = conn->endpoint.fd;
    if (likely(count == 1)) {
        io_uring_prep_send(sqe, fd, gather->runs[0].iov_base, conn->sending, flags);
        return;
    }
    gather->message = (struct msghdr){.msg_iov = gather->runs, .msg_iovlen = count};
    io_uring_prep_sendmsg(sqe, fd, &gather->message, (unsigned)flags);
    u->gathers_used++;
}

static struct io_uring_sqe *take_send_entry(struct uring *u)
{
    if (unlikely(u->gathers_used == URING_GATHERS)) submit_all(u);
    return take_entry(u);
}

static void send_now(struct uring *u, struct conn *conn)
{
    struct io_uring_sqe *sqe = take_send_entry(u);
    prepare_send(u, sqe, conn, conn->takes_parts ? URING_SEND_NOW_FLAGS & ~MSG_WAITALL : URING_SEND_NOW_FLAGS);
    bool more = conn->sending < conn_unsent(conn);
    bool awaited = more || conn->events->drained || conn->state != CONN_OPEN || conn->ended || conn->takes_parts;
    if (unlikely(conn->borrowed) && conn->sending > OUTQ_CHUNK_BYTES)
        awaited = true; /* its lender counts what is left */
    if (!awaited) io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
    io_uring_sqe_set_data64(sqe, tag(&conn->endpoint, OPERATION_SEND_NOW));
    conn->endpoint.in_flight++;
    conn->send_result = (int)conn->sending;
    list_push_back(&u->sending, &conn->send_node);
}

static void send_waiting(struct uring *u, struct conn *conn)
{
    struct io_uring_sqe *sqe = take_send_entry(u);
    prepare_send(u, sqe, conn, MSG_NOSIGNAL);
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    begin(&conn->endpoint, sqe, OPERATION_SEND_WAITING);
    conn->send_waiting = true;
}

/* A send of `sending` bytes has come to an end. */
static void conclude_send(struct uring *u, struct conn *conn, int result)
{
    size_t asked = conn->sending, sent = result > 0 ? (size_t)result : 0;
    conn->sending = 0;
    if (conn->endpoint.gone) return;
    if (unlikely(result == -EOPNOTSUPP && !conn->takes_parts)) {
        conn->takes_parts = true;
        conn_flush(conn);
        return;
    }
    if (result < 0 && !is_passing(-result)) {
        conn_on_send_failed(conn, -result);
        return;
    }
    conn_on_sent(conn, sent);
    if (conn->endpoint.gone || !conn_may_send(conn)) return;
    if (sent < asked)
        send_waiting(u, conn);
    else
        conn_flush(conn);
}

static void uring_conn_stop_waiting(struct conn *conn)
{
    cancel(&conn->endpoint, OPERATION_SEND_WAITING);
}

static void sent_waiting(struct uring *u, struct conn *conn, int result)
{
    finish(&conn->endpoint, OPERATION_SEND_WAITING);
    conn->send_waiting = false;
    conclude_send(u, conn, result);
}

/* Everything in loop->sends becomes a submission; all of them leave with the next entry. */
static void prepare_sends(struct loop *loop)
{
    struct uring *u = uring_of(loop);
    for (struct list_node *node; (node = list_first(&loop->sends));) {
        struct conn *conn = list_entry(node, struct conn, send_node);
        list_remove(&loop->sends, node);
        if (conn_may_send(conn)) send_now(u, conn);
    }
}

/* Completions of immediate sends, wherever they stand: their results have to be known before input is delivered. Here
 * alone such a completion's endpoint is looked at; it cannot have been freed, for it is still in u->sending. */
static void scan(struct uring *u)
{
    struct io_uring_cq *cq = &u->ring.cq;
    unsigned tail = io_uring_smp_load_acquire(cq->ktail), mask = *cq->kring_mask;
    for (; u->scanned != tail; u->scanned++) {
        const struct io_uring_cqe *cqe = &cq->cqes[u->scanned & mask];
        if ((cqe->user_data & OPERATION_MASK) != OPERATION_SEND_NOW) continue;
        struct conn *conn = (struct conn *)(uintptr_t)(cqe->user_data & ~OPERATION_MASK);
        conn->send_result = cqe->res;
    }
}

/* Not while an overflow holds completions back: a send that seems to have none may have failed. */
static void conclude_sends(struct uring *u)
{
    if (unlikely(io_uring_cq_has_overflow(&u->ring))) return;
    for (struct list_node *node; (node = list_first(&u->sending));) {
        struct conn *conn = list_entry(node, struct conn, send_node);
        list_remove(&u->sending, node);
        conn->endpoint.in_flight--;
        conclude_send(u, conn, conn->send_result);
    }
}

static void uring_send(struct loop *loop)
{
    struct uring *u = uring_of(loop);
    conclude_sends(u);
    prepare_sends(loop);
    submit_all(u);
    scan(u);
}

/* --- connecting, accepting, watching --- */

static void uring_conn_connect(struct conn *conn)
{
    const struct address *to = &conn->aside->to;
    struct io_uring_sqe *sqe = take_entry(uring_of(conn->endpoint.loop));
    io_uring_prep_connect(sqe, conn->endpoint.fd, (const struct sockaddr *)&to->storage, to->len);
    begin(&conn->endpoint, sqe, OPERATION_CONNECT);
}

static void connected(struct conn *conn, int result)
{
    finish(&conn->endpoint, OPERATION_CONNECT);
    conn_on_connected(conn, -result);
}

static void uring_accept(struct listener *listener)
{
    struct io_uring_sqe *sqe = take_entry(uring_of(listener->endpoint.loop));
    io_uring_prep_multishot_accept(sqe, listener->endpoint.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    begin(&listener->endpoint, sqe, OPERATION_ACCEPT);
}

static void uring_pause(struct listener *listener)
{
    (void)listener; /* a multishot accept ends by its error */
}

static void accepted(struct listener *listener, int result, unsigned flags)
{
    bool more = flags & IORING_CQE_F_MORE;
    if (!more) finish(&listener->endpoint, OPERATION_ACCEPT);
    if (result >= 0) listener_on_accept(listener, result);
    if (more || listener->endpoint.gone) return;
    if (result >= 0)
        uring_accept(listener);
    else
        listener_on_error(listener, -result);
}

/* One poll at a time, renewed after each report: the kernel looks at the state when it is set up, so what is still
 * ready is reported again in the next turn. A changed interest ends the poll under way; its completion starts the new
 * one. With LOOP_EDGE the kernel goes on with it. */
static void uring_watch(struct loop_watch *watch)
{
    struct endpoint *endpoint = &watch->endpoint;
    if (endpoint->in_flight) {
        cancel(endpoint, OPERATION_POLL);
        return;
    }
    if (watch->events == 0) return;
    unsigned events = (watch->events & LOOP_READABLE ? POLLIN : 0u) | (watch->events & LOOP_WRITABLE ? POLLOUT : 0u);
    struct io_uring_sqe *sqe = take_entry(uring_of(endpoint->loop));
    if (watch->events & LOOP_EDGE)
        io_uring_prep_poll_multishot(sqe, endpoint->fd, events);
    else
        io_uring_prep_poll_add(sqe, endpoint->fd, events);
    begin(endpoint, sqe, OPERATION_POLL);
}

static void polled(struct loop_watch *watch, int result, unsigned flags)
{
    struct endpoint *endpoint = &watch->endpoint;
    if (!(flags & IORING_CQE_F_MORE)) finish(endpoint, OPERATION_POLL);
    if (endpoint->gone) return;
    if (result != -ECANCELED) {
        bool broken = result < 0 || (result & (POLLHUP | POLLERR | POLLNVAL));
        watch_on_ready(watch, (broken || (result & POLLIN) ? LOOP_READABLE : 0) |
                                  (broken || (result & POLLOUT) ? LOOP_WRITABLE : 0));
    }
    if (!endpoint->gone && endpoint->in_flight == 0) uring_watch(watch);
}

/* --- the turn --- */

static void dispatch(struct uring *u, uint64_t data, int result, unsigned flags)
{
    void *endpoint = (void *)(uintptr_t)(data & ~OPERATION_MASK);
    switch ((enum operation)(data & OPERATION_MASK)) {
    case OPERATION_RECEIVE: received(u, endpoint, result, flags); break;
    case OPERATION_SEND_WAITING: sent_waiting(u, endpoint, result); break;
    case OPERATION_CONNECT: connected(endpoint, result); break;
    case OPERATION_ACCEPT: accepted(endpoint, result, flags); break;
    case OPERATION_POLL: polled(endpoint, result, flags); break;
    case OPERATION_SEND_NOW: break; /* scan() has seen to it */
    case OPERATION_NONE: break;
    }
}

/* How many completions ahead the connection is fetched, its owner is, and the input is announced to him. */
#define AHEAD_CONN  8
#define AHEAD_OWNER 6
#define AHEAD_FAR   4
#define AHEAD_NEAR  2

static const struct io_uring_cqe *input_ahead(const struct uring *u, unsigned ahead)
{
    const struct io_uring_cq *cq = &u->ring.cq;
    const struct io_uring_cqe *cqe = &cq->cqes[(*cq->khead + ahead) & *cq->kring_mask];
    bool input = (cqe->user_data & OPERATION_MASK) == OPERATION_RECEIVE && cqe->res > 0 &&
                 (cqe->flags & IORING_CQE_F_BUFFER) != 0;
    return input ? cqe : NULL;
}

static struct conn *conn_of(const struct io_uring_cqe *cqe)
{
    return (void *)(uintptr_t)(cqe->user_data & ~OPERATION_MASK);
}

static void prefetch_conn(struct uring *u, unsigned ahead)
{
    const struct io_uring_cqe *cqe = input_ahead(u, ahead);
    if (cqe) prefetch_bytes(conn_of(cqe), sizeof(struct conn));
}

static void prefetch_owner(struct uring *u, unsigned ahead)
{
    const struct io_uring_cqe *cqe = input_ahead(u, ahead);
    if (cqe && conn_of(cqe)->owner) prefetch_bytes(conn_of(cqe)->owner, CONN_OWNER_HOT_BYTES);
}

/* Not what continues the input right before it: how that one ends is not known yet. */
static void announce(struct uring *u, unsigned ahead, bool near)
{
    const struct io_uring_cqe *cqe = input_ahead(u, ahead), *before = input_ahead(u, ahead - 1);
    if (!cqe || (before && conn_of(before) == conn_of(cqe))) return;
    struct conn *conn = conn_of(cqe);
    if (conn->state != CONN_OPEN || !conn->events->announced || conn->tls) return;
    if (conn->waiting_first || has_had_its_turn(conn)) return;
    conn->events->announced(conn, uring_buffer(u, cqe->flags >> IORING_CQE_BUFFER_SHIFT), (size_t)cqe->res, near);
}

static void announce_first(struct uring *u, unsigned ready)
{
    for (unsigned ahead = 0; ahead < AHEAD_CONN && ahead < ready; ahead++) prefetch_conn(u, ahead);
    for (unsigned ahead = 0; ahead < AHEAD_OWNER && ahead < ready; ahead++) prefetch_owner(u, ahead);
    for (unsigned ahead = 1; ahead < AHEAD_FAR && ahead < ready; ahead++) announce(u, ahead, false);
    for (unsigned ahead = 1; ahead < AHEAD_NEAR && ahead < ready; ahead++) announce(u, ahead, true);
}

/* The completions that are here now. Each leaves the ring before it is handled, so that a turn inside a handler goes on
 * behind it. */
static void deliver_all(struct uring *u)
{
    struct io_uring_cq *cq = &u->ring.cq;
    unsigned mask = *cq->kring_mask;
    announce_first(u, io_uring_cq_ready(&u->ring));
    for (unsigned left = io_uring_cq_ready(&u->ring); left > 0 && io_uring_cq_ready(&u->ring) > 0; left--) {
        if (left > AHEAD_CONN) prefetch_conn(u, AHEAD_CONN);
        if (left > AHEAD_OWNER) prefetch_owner(u, AHEAD_OWNER);
        if (left > AHEAD_FAR) announce(u, AHEAD_FAR, false);
        if (left > AHEAD_NEAR) announce(u, AHEAD_NEAR, true);
        struct io_uring_cqe cqe = cq->cqes[*cq->khead & mask];
        io_uring_cq_advance(&u->ring, 1);
        dispatch(u, cqe.user_data, cqe.res, cqe.flags);
    }
}

/* Submits, and waits for so many completions; timeout_us: -1 for as long as it takes, 0 not at all. The kernel is asked
 * for what has come even where enough is here already (an early send brings the next input of those who talk without
 * end): the library would leave that out, and everybody else would be heard at the next timer. */
static void enter(struct uring *u, unsigned completions, int64_t timeout_us)
{
    int result;
    if (timeout_us == 0 || io_uring_cq_ready(&u->ring) >= completions) {
        result = io_uring_submit_and_get_events(&u->ring);
    } else if (timeout_us < 0) {
        result = io_uring_submit_and_wait(&u->ring, completions);
    } else {
        struct io_uring_cqe *first;
        struct __kernel_timespec timeout = {.tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000};
        result = io_uring_submit_and_wait_timeout(&u->ring, &first, completions, &timeout, NULL);
    }
    CHECK(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY);
    submit_all(u);
}

/* The kernel has nothing for us that an entry would bring, nor we for it. */
static bool is_quiet(struct uring *u)
{
    bool tells = u->ring.flags & IORING_SETUP_TASKRUN_FLAG;
    unsigned has = IO_URING_READ_ONCE(*u->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
    return tells && !has && io_uring_sq_ready(&u->ring) == 0;
}

static void submit_and_wait(struct uring *u, int64_t timeout_us, int64_t gather_us, unsigned pieces)
{
    if (timeout_us == 0 && is_quiet(u)) return;
    if (unlikely(gather_us > 0)) {
        enter(u, pieces < URING_COMPLETIONS_MIN ? pieces : URING_COMPLETIONS_MIN, gather_us);
        if (io_uring_cq_ready(&u->ring) > 0) return;
        if (timeout_us > 0) timeout_us -= gather_us;
    }
    if (u->arrivals.expected > 1 && (timeout_us < 0 || timeout_us > ARRIVALS_WAIT_US)) {
        enter(u, u->arrivals.expected, ARRIVALS_WAIT_US);
        if (io_uring_cq_ready(&u->ring) > 0) return;
    }
    enter(u, 1, timeout_us);
}

static void uring_begin(struct loop *loop)
{
    conclude_sends(uring_of(loop));
    prepare_sends(loop);
}

static void uring_turn(struct loop *loop, int64_t timeout_us)
{
    struct uring *u = uring_of(loop);
    if (list_first(&u->waiting)) timeout_us = 0;
    submit_and_wait(u, timeout_us, loop_take_gathering(loop, timeout_us), loop->gather_pieces);
    loop_refresh_time(loop);
    arrivals_turn(&u->arrivals, loop->monotonic_us);

    scan(u);
    conclude_sends(u);
    deliver_all(u);
    while (unlikely(io_uring_cq_has_overflow(&u->ring))) {
        io_uring_get_events(&u->ring);
        scan(u);
        deliver_all(u);
    }
    deliver_waiting(u);
    conclude_sends(u);
    if (unlikely(u->starved)) uring_provide_more(u);
}

const struct engine engine_uring = {
    .name = "io_uring",
    .start = uring_start,
    .stop = uring_stop,
    .abandon = uring_abandon,
    .send = uring_send,
    .begin = uring_begin,
    .turn = uring_turn,
    .conn_connect = uring_conn_connect,
    .conn_read = uring_conn_read,
    .conn_stop_reading = uring_conn_stop_reading,
    .conn_stop_waiting = uring_conn_stop_waiting,
    .accept = uring_accept,
    .pause = uring_pause,
    .watch = uring_watch,
    .release = uring_release,
};
