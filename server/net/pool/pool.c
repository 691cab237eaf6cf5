/* The loop's side of the I/O threads. Server process, on the loop's thread.
 *
 * Lent connections are served in the loop's turn like the others: what their threads have brought is delivered behind
 * the engine's own input, and what was written to them leaves before it waits. Each parcel is announced some places
 * ahead, as the engine does with its buffers, for its lines are in another processor's cache. */
#include "server/net/pool/pool.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/net/conn_tls.h"
#include "server/net/hold.h"
#include "server/net/pool/io_thread.h"
#include "server/net/pool/policy.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SPARE_MAX 64
/* A reply up to here is copied into the parcel, a longer one goes in its own chunks: a copy is cheaper than memory that
 * another thread frees. */
#define COPY_BYTES_MAX ((size_t)4096)

#define GATHER_RUNS 16

/* How many parcels ahead each is fetched, what it points to is, and the input is announced to its owner. */
#define AHEAD_PARCEL  12
#define AHEAD_BYTES   10
#define AHEAD_CONN    8
#define AHEAD_OWNER   6
#define AHEAD_FAR     4
#define AHEAD_NEAR    2
#define FETCHED_BYTES ((size_t)256)

struct pool {
    struct loop *loop;
    struct loop_mailbox mailbox;
    struct pool_host host;
    struct pool_policy policy;
    bool always;
    int wake_fd;
    struct list stopping, lent; /* struct loan.node */
    struct list answered;       /* struct parcel.node: INPUT that has run, to go back at the turn's end */
    struct list spare;
    uint64_t reads, reads_before; /* now, and when the loop last was about to wait */
    /* the present window */
    int64_t window_end_us, window_began_us;
    uint64_t awake_before_us, turns_before;
    uint32_t window, pieces, speakers;
    unsigned thread_count, working_count; /* the first so many have connections */
    struct io_thread *threads;
};

static struct pool *pool_of(const struct loop *loop)
{
    return loop->mailbox->context;
}

/* --- parcels --- */

static void give_parcel(struct pool *pool, struct parcel *p)
{
    parcel_give(&pool->spare, SPARE_MAX, &pool->host, p);
}

static void push(struct loan *loan, struct parcel *p, enum parcel_kind kind)
{
    p->loan = loan;
    p->kind = (uint8_t)kind;
    loan->thread->pushed = true;
    parcel_push(&loan->thread->to_thread, &loan->thread->waiting_to_thread, p);
}

/* --- lending --- */

static void forget(struct pool *pool, struct loan *loan)
{
    loan->home->loan = NULL;
    list_remove(loan->state == LOAN_STOPPING ? &pool->stopping : &pool->lent, &loan->node);
    mem_free(loan);
}

static struct loan *lend(struct pool *pool, struct conn *conn)
{
    struct loan *loan = mem_calloc(1, sizeof *loan);
    loan->home = conn;
    loan->state = LOAN_STOPPING;
    conn->loan = loan;
    list_push_back(&pool->stopping, &loan->node);
    conn_input_wait(conn, true);
    return loan;
}

static void stay(struct pool *pool, struct loan *loan)
{
    struct conn *conn = loan->home;
    forget(pool, loan);
    conn_input_wait(conn, false);
}

static struct io_thread *thread_with_fewest(struct pool *pool)
{
    struct io_thread *best = pool->threads;
    for (struct io_thread *t = best + 1; t < pool->threads + pool->working_count; t++)
        if (t->view.connections < best->view.connections) best = t;
    return best;
}

static void hand_over(struct pool *pool, struct loan *loan)
{
    struct conn *conn = loan->home;
    loan->thread = thread_with_fewest(pool);
    loan->fd = conn->endpoint.fd;
    loan->reads = conn->events->prepared != NULL;
    loan->tls = conn_tls_take(conn);
    loan->state = LOAN_LENT;
    list_remove(&pool->stopping, &loan->node);
    list_push_back(&pool->lent, &loan->node);
    loan->thread->view.connections++;
    conn->paused = false;
    conn->endpoint.in_flight++;
    if (list_contains(&conn->send_node)) {
        list_remove(conn->sends, &conn->send_node);
        list_push_back(&pool->loop->lent_sends, &conn->send_node);
    }
    conn->sends = &pool->loop->lent_sends;
    push(loan, &loan->lend, PARCEL_LEND);
}

/* Those whose input has come to rest go; whoever is not in the state for it stays. */
static void hand_over_stopped(struct pool *pool)
{
    list_each(&pool->stopping, node)
    {
        struct loan *loan = list_entry(node, struct loan, node);
        struct conn *conn = loan->home;
        if (conn->state != CONN_OPEN || conn->ended || conn->send_waiting || (conn->aside && conn->aside->held_len))
            stay(pool, loan);
        else if (!conn->reading && !conn->delivering && !conn->sending && !list_contains(&conn->settle_node))
            hand_over(pool, loan);
    }
}

static void recall(struct loan *loan)
{
    if (loan->state != LOAN_LENT) return;
    loan->state = LOAN_RECALLED;
    push(loan, &loan->recall, PARCEL_RECALL);
}

bool loan_end(struct conn *conn)
{
    struct pool *pool = pool_of(conn->endpoint.loop);
    struct loan *loan = conn->loan;
    if (loan->state == LOAN_STOPPING) {
        forget(pool, loan);
        if (conn->state == CONN_OPEN) conn_input_wait(conn, false);
        conn->paused = false;
        return false;
    }
    recall(loan);
    return true;
}

size_t loan_unsent(struct loan *loan)
{
    if (loan->handed_bytes - loan->sent_seen <= OUTQ_CHUNK_BYTES) return 0;
    loan->sent_seen = atomic_load_explicit(&loan->sent_bytes, memory_order_relaxed);
    size_t unsent = (size_t)(loan->handed_bytes - loan->sent_seen);
    return unsent > OUTQ_CHUNK_BYTES ? unsent : 0;
}

/* --- what threads bring --- */

static void give_back_output(struct conn *conn, struct outq *unsent)
{
    size_t n = outq_pending(unsent);
    if (!n) return;
    outq_count(unsent, true);
    outq_move(unsent, &conn->output);
    conn->output = *unsent;
    *unsent = (struct outq){0};
    hold_given_back(conn, n);
}

static void drop_answer(struct pool *pool, struct loan *loan)
{
    list_remove(&pool->answered, &loan->answers->node);
    give_parcel(pool, loan->answers);
    loan->answers = NULL;
}

/* One that has been closed meanwhile still says so to its peer. */
static void take_tls_back(struct conn *conn, struct conn_tls *tls)
{
    if (conn->state == CONN_CLOSED)
        conn->tls = tls;
    else
        conn_tls_put(conn, tls);
}

/* Nothing of it is under way that an end would wait for: it ends as it would once it was back. */
static bool ends_at_once(const struct loan *loan)
{
    const struct conn *conn = loan->home;
    if (loan->state != LOAN_LENT || conn->state != CONN_OPEN || conn->ended || conn->paused) return false;
    if (conn->events->connected) return false; /* it waits for its handshake, and is told of that instead */
    return loan->end_error || (!conn_has_unsent(conn) && loan->handed_bytes == loan->end_taken_bytes);
}

/* One by one: a turn inside a callback goes on with the rest, some of which it may free. */
static void take_ended(struct io_thread *t)
{
    struct loan *loan;
    while (unlikely((loan = atomic_load_explicit(&t->ended, memory_order_acquire)) != NULL)) {
        while (!atomic_compare_exchange_weak_explicit(&t->ended, &loan, loan->next_ended, memory_order_acquire,
                                                      memory_order_acquire))
            continue;
        if (!ends_at_once(loan)) continue;
        loan->ended = true;
        conn_on_end(loan->home, loan->end_error);
    }
}

static void returned(struct pool *pool, struct loan *loan)
{
    struct conn *conn = loan->home;
    uint8_t *rest = loan->rest;
    size_t rest_len = loan->rest_len;
    bool ended = loan->ended;
    int error = loan->end_error;
    take_ended(loan->thread); /* it may be among them */
    if (loan->answers) drop_answer(pool, loan);
    conn->endpoint.in_flight--;
    conn->send_waiting = false;
    if (list_contains(&conn->send_node)) list_remove(conn->sends, &conn->send_node);
    conn->sends = &pool->loop->sends;
    if (conn->state == CONN_CLOSED)
        outq_clear(&loan->unsent);
    else
        give_back_output(conn, &loan->unsent);
    loan->thread->view.connections--;
    struct conn_tls *tls = loan->tls;
    forget(pool, loan);
    if (unlikely(tls != NULL)) take_tls_back(conn, tls);
    conn_on_returned(conn, rest, rest_len, ended, error);
    mem_free(rest);
}

static void note_piece(struct pool *pool, struct conn *conn)
{
    pool->pieces++;
    if (conn->heard_in == pool->window) return;
    conn->heard_in = pool->window;
    pool->speakers++;
}

/* It goes back with the answer, when the turn ends. A turn inside a command may have brought the connection home
 * meanwhile, and it may be about to be lent again. */
static void input(struct pool *pool, struct parcel *p)
{
    struct loan *loan = p->loan;
    struct conn *conn = loan->home;
    pool->reads++;
    loan->thread->view.reads++;
    if (!conn->endpoint.gone) {
        note_piece(pool, conn);
        conn_on_data(conn, p->bytes, p->len);
    }
    if (conn->loan != loan || loan->state != LOAN_LENT) {
        give_parcel(pool, p);
        return;
    }
    p->between_requests = conn->events->between_requests && conn->events->between_requests(conn);
    loan->answers = p;
    list_push_back(&pool->answered, &p->node);
}

static void drained(struct conn *conn)
{
    conn->send_waiting = false;
    if (conn->endpoint.gone) return;
    if (conn_has_unsent(conn)) conn_flush(conn);
    if (conn->state == CONN_OPEN && conn->events->drained) conn->events->drained(conn);
}

static void ended(struct loan *loan)
{
    if (loan->ended) return;
    loan->ended = true;
    recall(loan);
}

static void deliver(struct pool *pool, struct parcel *p)
{
    struct loan *loan = p->loan;
    switch ((enum parcel_kind)p->kind) {
    case PARCEL_INPUT: input(pool, p); break;
    case PARCEL_SHAKEN:
        if (!loan->home->endpoint.gone) loan->home->events->connected(loan->home, 0);
        break;
    case PARCEL_DRAINED: drained(loan->home); break;
    case PARCEL_END: ended(loan); break;
    case PARCEL_RETURN: returned(pool, loan); break;
    default: UNREACHABLE();
    }
}

/* --- what threads are given --- */

static void take_output(struct conn *conn, struct parcel *p, size_t len)
{
    conn->loan->handed_bytes += len;
    if (len > COPY_BYTES_MAX) {
        conn_take_output(conn, &p->more);
        outq_count(&p->more, false);
    } else {
        conn_copy_output(conn, parcel_room(p, len));
        p->len = len;
    }
}

/* What may leave already, as far as there is room for it. */
static void take_some_output(struct conn *conn, struct parcel *p, size_t room)
{
    struct iovec runs[GATHER_RUNS];
    size_t total, left;
    unsigned count = conn_gather(conn, runs, GATHER_RUNS, &total);
    left = total < room ? total : room;
    total = left;
    for (unsigned i = 0; i < count && left > 0; i++) {
        size_t n = runs[i].iov_len < left ? runs[i].iov_len : left;
        memcpy(parcel_room(p, n), runs[i].iov_base, n);
        p->len += n;
        left -= n;
    }
    conn_on_sent(conn, total);
    conn->loan->handed_bytes += total;
}

static void fill(struct conn *conn, struct parcel *p)
{
    struct loan *loan = conn->loan;
    p->len = 0;
    p->tell_when_drained = false;
    if (list_contains(&conn->send_node)) list_remove(conn->sends, &conn->send_node);
    if (!conn_may_send(conn) || conn->send_waiting) return;
    size_t pending = outq_pending(&conn->output), waits = loan_unsent(loan);
    size_t room = waits < LOAN_OUTPUT_BYTES ? LOAN_OUTPUT_BYTES - waits : 0;
    bool all = !conn->hold && pending <= room;
    if (likely(all))
        take_output(conn, p, pending);
    else
        take_some_output(conn, p, room);
    loan->thread->view.writes++;
    if ((likely(all) || !conn_may_send(conn)) && likely(!conn->events->drained)) return;
    conn->send_waiting = p->tell_when_drained = true;
}

static void hand_out(struct loan *loan, struct parcel *p, bool brought_input)
{
    p->brought_input = brought_input;
    push(loan, p, PARCEL_OUTPUT);
}

/* --- the loop's mailbox --- */

/* Whatever goes between the loop and a thread is about a connection that is lent: while none is, threads cost next to
 * nothing. */
static bool threads_have_nothing(const struct pool *pool)
{
    return pool->lent.count == 0;
}

/* Whoever waits for this processor is let through first, once: if it is a thread with input, a sleep and a wake-up are
 * saved. */
static bool has_input_soon(struct pool *pool)
{
    if (pool->reads == pool->reads_before) return false;
    pool->reads_before = pool->reads;
    sched_yield();
    for (unsigned i = 0; i < pool->thread_count; i++)
        if (spsc_peek(&pool->threads[i].to_loop)) return true;
    return false;
}

static bool may_wait(void *context)
{
    struct pool *pool = context;
    if (likely(threads_have_nothing(pool))) return true;
    if (list_first(&pool->loop->lent_sends) || has_input_soon(pool)) return false;
    for (unsigned i = 0; i < pool->thread_count; i++) {
        struct io_thread *t = &pool->threads[i];
        if (!t->pushed && !list_first(&t->waiting_to_thread) && spsc_may_sleep(&t->to_loop)) continue;
        return false;
    }
    return true;
}

static void end_window(struct pool *pool)
{
    struct loop *loop = pool->loop;
    int64_t now_us = loop->monotonic_us;
    if (likely(now_us < pool->window_end_us)) return;
    struct pool_load load = {.span_us = now_us - pool->window_began_us,
                             .awake_us = (int64_t)(loop->awake_us - pool->awake_before_us),
                             .pieces = pool->pieces,
                             .speakers = pool->speakers,
                             .turns = (uint32_t)(loop->turns - pool->turns_before)};
    if (!pool->always) pool_policy_step(&pool->policy, &load);
    pool->window_began_us = now_us;
    pool->window_end_us = now_us + POOL_WINDOW_US;
    pool->awake_before_us = loop->awake_us;
    pool->turns_before = loop->turns;
    pool->pieces = pool->speakers = 0;
    pool->window++;
}

static void announce(const struct parcel *p, bool near)
{
    struct conn *conn = p->loan->home;
    if (conn->endpoint.gone || conn->delivering || p->loan->state != LOAN_LENT) return;
    if (!near && p->read && conn->events->prepared)
        conn->events->prepared(conn, p->reading);
    else if (conn->events->announced)
        conn->events->announced(conn, p->bytes, p->len, near);
}

/* --- a parcel, then what it points to, then what its request names --- */

static void fetch_parcel(const struct parcel *p)
{
    prefetch_bytes(p, sizeof *p);
}

static void fetch_bytes(const struct parcel *p)
{
    if (p->kind != PARCEL_INPUT) return;
    prefetch_bytes(&p->loan->home, CACHE_LINE_BYTES);
    prefetch_bytes(p->reading, POOL_READING_HOT_BYTES);
    prefetch_bytes(p->bytes, p->len < FETCHED_BYTES ? p->len : FETCHED_BYTES);
}

static void fetch_conn(const struct parcel *p)
{
    if (p->kind == PARCEL_INPUT) prefetch_bytes(p->loan->home, sizeof(struct conn));
}

static void fetch_owner(const struct parcel *p)
{
    if (p->kind == PARCEL_INPUT && !p->loan->home->endpoint.gone)
        prefetch_bytes(p->loan->home->owner, CONN_OWNER_HOT_BYTES);
}

static void announce_far(const struct parcel *p)
{
    if (p->kind == PARCEL_INPUT) announce(p, false);
}

static void announce_near(const struct parcel *p)
{
    if (p->kind == PARCEL_INPUT) announce(p, true);
}

/* How many places, from the queue's first on, are behind each. */
struct looked_ahead {
    uint32_t parcels, bytes, conns, owners, far, near;
};

static inline __attribute__((always_inline)) void go_ahead(const struct spsc *q, uint32_t ready, uint32_t ahead,
                                                           void (*step)(const struct parcel *p), uint32_t *done)
{
    uint32_t end = ready < ahead + 1 ? ready : ahead + 1;
    for (; *done < end; ++*done) step(spsc_at(q, *done));
    --*done; /* the first one leaves */
}

/* Each is so many places ahead of the parcel that is delivered next, and goes as far at the beginning of a batch: most
 * have few parcels. Of those that come, this turn takes `most`. */
static void look_ahead(struct spsc *q, uint32_t most, struct looked_ahead *done)
{
    uint32_t ready = spsc_ready(q, AHEAD_PARCEL + 1);
    if (ready > most) ready = most;
    go_ahead(q, ready, AHEAD_PARCEL, fetch_parcel, &done->parcels);
    go_ahead(q, ready, AHEAD_BYTES, fetch_bytes, &done->bytes);
    go_ahead(q, ready, AHEAD_CONN, fetch_conn, &done->conns);
    go_ahead(q, ready, AHEAD_OWNER, fetch_owner, &done->owners);
    go_ahead(q, ready, AHEAD_FAR, announce_far, &done->far);
    go_ahead(q, ready, AHEAD_NEAR, announce_near, &done->near);
}

/* As much as is there: answers that leave early bring the next requests of those who talk without end, and the others
 * have their turn. A turn inside a command may have taken of it. */
static void take_from(struct pool *pool, struct spsc *q)
{
    struct looked_ahead done = {0};
    struct parcel *p;
    spsc_is_awake(q);
    for (uint32_t left = spsc_ready(q, SPSC_CAPACITY); left > 0 && (p = spsc_peek(q)); left--) {
        look_ahead(q, left, &done);
        spsc_pop(q);
        deliver(pool, p);
    }
}

static void take(void *context)
{
    struct pool *pool = context;
    if (!threads_have_nothing(pool)) {
        for (unsigned i = 0; i < pool->thread_count; i++) take_ended(&pool->threads[i]);
        for (unsigned i = 0; i < pool->thread_count; i++) take_from(pool, &pool->threads[i].to_loop);
    }
    end_window(pool);
}

static void send_answers(struct pool *pool)
{
    for (struct list_node *node; (node = list_first(&pool->answered));) {
        struct parcel *p = list_entry(node, struct parcel, node);
        struct loan *loan = p->loan;
        list_remove(&pool->answered, node);
        loan->answers = NULL;
        if (loan->state != LOAN_LENT) {
            give_parcel(pool, p);
            continue;
        }
        fill(loan->home, p);
        hand_out(loan, p, true);
        if (unlikely(!pool->policy.active) && !loan->stays) recall(loan);
    }
}

/* What was written to those who had not spoken. Of one that has been recalled it waits for its return. */
static void send_unasked(struct pool *pool)
{
    for (struct list_node *node; (node = list_first(&pool->loop->lent_sends));) {
        struct conn *conn = list_entry(node, struct conn, send_node);
        list_remove(&pool->loop->lent_sends, node);
        if (conn->loan->state != LOAN_LENT) continue;
        struct parcel *p = parcel_take(&pool->spare);
        fill(conn, p);
        if (p->len || p->tell_when_drained || !outq_empty(&p->more))
            hand_out(conn->loan, p, false);
        else
            give_parcel(pool, p);
    }
}

static void tell_thread(struct io_thread *t)
{
    if (parcel_push_waiting(&t->to_thread, &t->waiting_to_thread)) t->pushed = true;
    if (!t->pushed) return;
    t->pushed = false;
    if (spsc_must_wake(&t->to_thread)) io_thread_wake(t);
}

static void send_parcels(void *context)
{
    struct pool *pool = context;
    if (unlikely(list_first(&pool->stopping) != NULL)) hand_over_stopped(pool);
    if (likely(threads_have_nothing(pool))) return;
    send_answers(pool);
    send_unasked(pool); /* what those who have just been handed over are owed is among it */
    for (unsigned i = 0; i < pool->thread_count; i++) tell_thread(&pool->threads[i]);
}

/* The threads are not there any more, but what they hold open is. */
static void abandon(void *context)
{
    struct pool *pool = context;
    for (unsigned i = 0; i < pool->thread_count; i++) {
        struct loop *loop = pool->threads[i].loop;
        loop->engine->abandon(loop);
        close(pool->threads[i].wake_fd);
    }
    close(pool->wake_fd);
}

/* --- its life --- */

void pool_heard(struct pool *pool, struct conn *conn)
{
    bool spoke_before = conn->heard_in && conn->heard_in != pool->window;
    if (conn->loan) return;
    note_piece(pool, conn);
    if (likely(!pool->policy.active) || !(spoke_before || pool->always)) return;
    if (conn->state == CONN_OPEN && !(conn->tls && conn_tls_is_shaking(conn)) && !conn->ended && !conn->send_waiting &&
        !conn->paused)
        lend(pool, conn);
}

void pool_lend_work(struct conn *conn, bool stays)
{
    if (!conn->endpoint.loop->mailbox || conn->loan) return;
    if (conn->state == CONN_OPEN && !conn->ended && !conn->send_waiting && !conn->paused)
        lend(pool_of(conn->endpoint.loop), conn)->stays = stays;
}

static int start_threads(struct pool *pool, unsigned wanted)
{
    enum loop_engine engine = pool->loop->engine == &engine_uring ? LOOP_ENGINE_URING : LOOP_ENGINE_EPOLL;
    for (unsigned i = 0; i < wanted; i++) {
        struct io_thread *t = &pool->threads[i];
        t->number = i;
        t->loop_wake_fd = pool->wake_fd;
        t->engine = engine;
        t->host = pool->host;
        int error = io_thread_start(t);
        if (error) return error;
        pool->thread_count++;
    }
    return 0;
}

struct pool *pool_new(struct loop *loop, const struct pool_settings *settings)
{
    struct pool *pool = mem_calloc(1, sizeof *pool);
    pool->loop = loop;
    pool->host = settings->host;
    pool->always = pool->policy.active = settings->always;
    pool->window = 1;
    pool->working_count = settings->working;
    pool->threads = mem_calloc(settings->threads, sizeof *pool->threads);
    list_init(&pool->stopping);
    list_init(&pool->lent);
    list_init(&pool->answered);
    list_init(&pool->spare);
    pool->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int error = pool->wake_fd < 0 ? errno : start_threads(pool, settings->threads);
    pool->mailbox = (struct loop_mailbox){
        .context = pool, .may_wait = may_wait, .take = take, .send = send_parcels, .abandon = abandon};
    loop->mailbox = &pool->mailbox;
    if (error) {
        pool_stop(pool);
        errno = error;
        return NULL;
    }
    watch_wake_ups(loop, pool->wake_fd);
    return pool;
}

/* A queue may have no room for all of it: a thread takes whatever it is given, and waits for nobody. */
static void stop_thread(struct io_thread *t)
{
    for (; list_first(&t->waiting_to_thread); sched_yield()) tell_thread(t);
    atomic_store_explicit(&t->stops, true, memory_order_release);
    io_thread_wake(t);
}

void pool_stop(struct pool *pool)
{
    send_parcels(pool);
    for (unsigned i = 0; i < pool->thread_count; i++) stop_thread(&pool->threads[i]);
    for (unsigned i = 0; i < pool->thread_count; i++) pthread_join(pool->threads[i].id, NULL);
    pool->loop->mailbox = NULL;
}

struct pool_view pool_view(const struct pool *pool)
{
    if (!pool) return (struct pool_view){0};
    return (struct pool_view){.active = pool->policy.active, .threads = pool->thread_count};
}

struct pool_thread_view pool_thread_view(const struct pool *pool, unsigned thread)
{
    return pool->threads[thread].view;
}

void pool_reset_counts(struct pool *pool)
{
    if (!pool) return;
    for (unsigned i = 0; i < pool->thread_count; i++) pool->threads[i].view.reads = pool->threads[i].view.writes = 0;
}
