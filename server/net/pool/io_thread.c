/* What an I/O thread does. Server process, on a thread of its own; loan.h says what is whose.
 *
 * It has a loop like any other, whose connections are borrowed. A turn: send what the last one left, wait, receive and
 * read, then take what the server's loop has sent meanwhile. The server's loop is woken behind all of a turn's
 * input, once more by what the sends bring up, and only where it sleeps. */
#include "server/net/pool/io_thread.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/crash.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STOCK_MAX 256

/* --- parcels --- */

/* What brought only output never goes back: such parcels would fill the stock and serve nobody. */
static void give_parcel(struct io_thread *t, struct parcel *p)
{
    parcel_give(&t->stock, p->reading ? STOCK_MAX : 0, &t->host, p);
}

static void push(struct io_thread *t, struct loan *loan, struct parcel *p, enum parcel_kind kind)
{
    p->loan = loan;
    p->kind = (uint8_t)kind;
    t->brought = true;
    parcel_push(&t->to_loop, &t->waiting_to_loop, p);
}

/* --- input --- */

static void send_input(struct io_thread *t, struct loan *loan)
{
    struct parcel *p = list_entry(list_first(&loan->gathers), struct parcel, node);
    list_remove(&loan->gathers, &p->node);
    loan->gathered_bytes -= p->len;
    p->read = loan->reads;
    if (loan->reads) t->host.read(t->host.context, p->reading, &loan->memo, p->bytes, p->len);
    loan->under_way = true;
    push(t, loan, p, PARCEL_INPUT);
}

/* The last one that is gathered, or a new one: none has more than what one turn of the loop takes. */
static struct parcel *room_for(struct io_thread *t, struct loan *loan, size_t len)
{
    struct list_node *last = loan->gathers.head.prev;
    struct parcel *p = list_entry(last, struct parcel, node);
    if (last != &loan->gathers.head && p->len + len <= LOAN_INPUT_BYTES) return p;
    p = parcel_take(&t->stock);
    parcel_will_be_read(p, &t->host);
    list_push_back(&loan->gathers, &p->node);
    return p;
}

static void on_data(struct conn *conn, const uint8_t *data, size_t len)
{
    struct loan *loan = conn_owner(conn);
    struct io_thread *t = loan->thread;
    struct parcel *p = room_for(t, loan, len);
    memcpy(parcel_room(p, len), data, len);
    p->len += len;
    loan->gathered_bytes += len;
    if (!loan->under_way)
        send_input(t, loan);
    else if (loan->gathered_bytes >= LOAN_INPUT_BYTES && !list_contains(&loan->much))
        list_push_back(&t->much, &loan->much);
}

/* Outside of their own callbacks: what the engine has of them already is gathered, too. */
static void stop_reading_much(struct io_thread *t)
{
    for (struct list_node *node; (node = list_first(&t->much));) {
        struct loan *loan = list_entry(node, struct loan, much);
        list_remove(&t->much, node);
        if (loan->gathered_bytes >= LOAN_INPUT_BYTES) conn_input_wait(loan->away, true);
    }
}

/* Before its END goes: whoever hears of that finds it here, or gone from here. */
static void end_early(struct loan *loan)
{
    struct io_thread *t = loan->thread;
    loan->end_taken_bytes = loan->taken_bytes;
    loan->next_ended = atomic_load_explicit(&t->ended, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&t->ended, &loan->next_ended, loan, memory_order_release,
                                                  memory_order_relaxed))
        continue;
}

static void on_closed(struct conn *conn, int error)
{
    struct loan *loan = conn_owner(conn);
    loan->end_error = error;
    if (!loan->under_way && !list_first(&loan->gathers)) end_early(loan);
    push(loan->thread, loan, &loan->end, PARCEL_END);
}

static void on_connected(struct conn *conn, int error)
{
    struct loan *loan = conn_owner(conn);
    CHECK(error == 0); /* a borrowed one hears of it by `closed` */
    push(loan->thread, loan, &loan->shaken, PARCEL_SHAKEN);
}

static void on_drained(struct conn *conn);

static const struct conn_events events = {.data = on_data, .connected = on_connected, .closed = on_closed};
/* To hear of it costs a completion for each send. */
static const struct conn_events events_of_draining = {
    .data = on_data, .connected = on_connected, .closed = on_closed, .drained = on_drained};

static void on_drained(struct conn *conn)
{
    struct loan *loan = conn_owner(conn);
    conn_give(conn, &events, loan);
    push(loan->thread, loan, &loan->drained, PARCEL_DRAINED);
}

/* --- what the loop says --- */

static void borrow(struct io_thread *t, struct loan *loan)
{
    list_init(&loan->gathers);
    loan->away = conn_borrow(t->loop, loan->fd, loan->tls, &events, loan);
    loan->tls = NULL;
}

static void output(struct io_thread *t, struct loan *loan, struct parcel *p)
{
    struct conn *conn = loan->away;
    bool brought_input = p->brought_input, between_requests = p->between_requests, tells = p->tell_when_drained;
    loan->taken_bytes += p->len + outq_pending(&p->more);
    if (p->len) outq_append(conn_output(conn), p->bytes, p->len);
    if (!outq_empty(&p->more)) outq_move(conn_output(conn), &p->more);
    give_parcel(t, p);
    if (tells) {
        conn_give(conn, &events_of_draining, loan);
        if (outq_empty(conn_output(conn))) on_drained(conn);
    }
    if (conn_may_send(conn)) conn_flush(conn);
    if (!brought_input) return;
    loan->under_way = false;
    loan->reads = between_requests;
    if (!list_first(&loan->gathers)) return;
    send_input(t, loan);
    if (loan->gathered_bytes < LOAN_INPUT_BYTES) conn_input_wait(conn, false);
}

static size_t take_gathered(struct loan *loan, uint8_t *to)
{
    size_t at = 0;
    list_each(&loan->gathers, node)
    {
        struct parcel *p = list_entry(node, struct parcel, node);
        memcpy(to + at, p->bytes, p->len);
        at += p->len;
        list_remove(&loan->gathers, node);
        give_parcel(loan->thread, p);
    }
    return at;
}

/* Its connection is given up: whatever it still has goes back with it. */
static void given_up(void *arg, int fd, const uint8_t *rest, size_t len)
{
    struct loan *loan = arg;
    (void)fd; /* the lender's */
    outq_move(&loan->unsent, conn_output(loan->away));
    loan->rest_len = loan->gathered_bytes + len;
    if (loan->rest_len) loan->rest = mem_alloc(loan->rest_len);
    size_t before = loan->rest_len ? take_gathered(loan, loan->rest) : 0;
    if (len) memcpy(loan->rest + before, rest, len);
    push(loan->thread, loan, &loan->returned, PARCEL_RETURN);
}

static void hear(struct io_thread *t, struct parcel *p)
{
    struct loan *loan = p->loan;
    switch ((enum parcel_kind)p->kind) {
    case PARCEL_LEND: borrow(t, loan); break;
    case PARCEL_OUTPUT: output(t, loan, p); break;
    case PARCEL_RECALL:
        if (list_contains(&loan->much)) list_remove(&t->much, &loan->much);
        conn_give_up(loan->away, given_up, loan);
        break;
    default: UNREACHABLE();
    }
}

/* --- who sleeps is woken --- */

static void woken(void *arg, int ready)
{
    (void)arg; /* what there is to do is in the mailbox */
    (void)ready;
}

/* Nobody reads what is written there: that would be a system call for each wake-up. */
void watch_wake_ups(struct loop *loop, int fd)
{
    loop_watch_start(loop, fd, LOOP_READABLE | LOOP_EDGE, woken, NULL);
}

static void wake(int fd)
{
    const uint64_t one = 1;
    CHECK(write(fd, &one, sizeof one) == sizeof one); /* 2^64 of them are never */
}

void io_thread_wake(struct io_thread *t)
{
    wake(t->wake_fd);
}

/* --- its loop's mailbox --- */

static void tell_loop(struct io_thread *t)
{
    if (parcel_push_waiting(&t->to_loop, &t->waiting_to_loop)) t->brought = true;
    if (!t->brought) return;
    t->brought = false;
    if (spsc_must_wake(&t->to_loop)) wake(t->loop_wake_fd);
}

/* The sends that have just begun may have brought something up: that output has drained, or that a peer is gone.
 * Whoever waits for this processor is let through first, once: it may be the loop with answers. */
static bool may_wait(void *context)
{
    struct io_thread *t = context;
    tell_loop(t);
    if (t->loop->reads != t->reads_before) {
        t->reads_before = t->loop->reads;
        sched_yield();
        if (spsc_peek(&t->to_thread)) return false;
    }
    return !list_first(&t->waiting_to_loop) && spsc_may_sleep(&t->to_thread);
}

/* What comes while we look belongs to the batch, up to a queue's worth: a loop that never stops answering would keep us
 * from sending. Who stops us has said all that he has to say before, so that is looked at first, and then there is no
 * bound: nothing follows it. */
static void take(void *context)
{
    struct io_thread *t = context;
    struct parcel *p;
    bool stops = atomic_load_explicit(&t->stops, memory_order_acquire);
    spsc_is_awake(&t->to_thread);
    for (uint32_t left = SPSC_CAPACITY; (left > 0 || stops) && (p = spsc_peek(&t->to_thread)); left -= left > 0) {
        spsc_pop(&t->to_thread);
        hear(t, p);
    }
    if (!stops) return;
    if (list_first(&t->loop->sends))
        loop_do_not_wait(t->loop); /* one send takes only so much of each */
    else
        loop_stop(t->loop);
}

static void send_parcels(void *context)
{
    struct io_thread *t = context;
    if (unlikely(list_first(&t->much) != NULL)) stop_reading_much(t);
    tell_loop(t);
}

/* --- its life --- */

static struct loop *open_loop(const struct io_thread *t)
{
    struct loop_settings wanted = {.engine = t->engine};
    struct loop *loop = loop_new(&wanted);
    if (loop || t->engine == LOOP_ENGINE_EPOLL) return loop;
    wanted.engine = LOOP_ENGINE_EPOLL; /* of rings the system may give fewer than we have threads */
    return loop_new(&wanted);
}

static void *work(void *argument)
{
    struct io_thread *t = argument;
    const struct loop_mailbox mailbox = {.context = t, .may_wait = may_wait, .take = take, .send = send_parcels};
    crash_catch_signals_of_thread();
    outq_do_not_count_on_this_thread();
    t->loop = open_loop(t);
    int error = errno;
    if (!t->loop) {
        t->start_error = error;
        sem_post(&t->started);
        return NULL;
    }
    t->loop->mailbox = &mailbox;
    watch_wake_ups(t->loop, t->wake_fd);
    sem_post(&t->started);
    loop_run(t->loop);
    outq_end_of_thread();
    return NULL;
}

int io_thread_start(struct io_thread *t)
{
    sigset_t all, before;
    char name[16];
    list_init(&t->waiting_to_thread);
    list_init(&t->waiting_to_loop);
    list_init(&t->stock);
    list_init(&t->much);
    sem_init(&t->started, 0, 0);
    t->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (t->wake_fd < 0) return errno;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&t->id, NULL, work, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        close(t->wake_fd);
        return error;
    }
    while (sem_wait(&t->started) != 0) continue;
    if (t->start_error) {
        pthread_join(t->id, NULL);
        close(t->wake_fd);
        return t->start_error;
    }
    snprintf(name, sizeof name, "io_thd_%u", t->number + 1);
    pthread_setname_np(t->id, name);
    return 0;
}
