/* The inside of server/net: what the loop and its connections, listeners and watches ask of an engine, what an engine
 * tells them, and the state both sides share. Nothing outside server/net includes this, but who brings an engine of its
 * own.
 *
 * An engine only moves bytes and readiness. Everything with a meaning (when a connection ends, what is flushed before
 * it closes, when `drained` is due) is decided once, in conn.c, listener.c and loop.c, so that the two engines cannot
 * differ.
 *
 * Memory: the kernel or a batch of events may still refer to an endpoint that has been closed. It is then `gone`, hears
 * nothing more, and is freed at the end of an outermost turn when nothing of it is in flight. */
#ifndef SLIPSTREAM_NET_ENGINE_H
#define SLIPSTREAM_NET_ENGINE_H

#include <sys/uio.h>

#include "server/base/list.h"
#include "server/net/conn.h"
#include "server/net/hold.h"
#include "server/net/listener.h"
#include "server/net/loop.h"

enum endpoint_kind { ENDPOINT_CONN, ENDPOINT_LISTENER, ENDPOINT_WATCH, ENDPOINT_KINDS };

/* The first member of everything an engine holds a pointer to. */
struct endpoint {
    struct list_node node; /* in loop->live[kind], or in loop->dead */
    struct loop *loop;
    int fd;            /* -1 once closed or handed over */
    uint8_t kind;      /* enum endpoint_kind */
    bool gone;         /* closed: nothing is delivered any more */
    uint8_t in_flight; /* operations of the engine that still refer to this memory (and to fd) */
    uint32_t armed;    /* the engine's own note of what it waits for */
};

enum conn_state { CONN_CONNECTING, CONN_OPEN, CONN_CLOSING, CONN_DETACHING, CONN_CLOSED };

/* What few connections ever need. */
struct conn_aside {
    uint8_t *held; /* input that may not be delivered: `rest` of a detach, or arrived inside its own data callback */
    size_t held_len, held_capacity;
    void (*detached)(void *arg, int fd, const uint8_t *rest, size_t len);
    void *detached_arg;
    struct address to; /* where conn_connect goes */
};

struct conn {
    struct endpoint endpoint;
    struct outq output;
    const struct conn_events *events;
    void *owner;
    struct conn_tls *tls;       /* NULL: plain (net/conn_tls.h); owned */
    struct list *sends;         /* loop->sends, or loop->lent_sends */
    struct list_node send_node; /* in `sends`, or in the engine's list of sends under way */
    uint8_t state;              /* enum conn_state */
    bool reading;               /* the engine may still deliver input */
    bool delivering;            /* inside its own data callback */
    bool send_waiting;          /* the socket was full: the engine goes on by itself when it is writable */
    bool paused;                /* conn_pause(): what comes waits */
    bool ended;                 /* the end has been seen: `closed` is due when nothing is left to send */
    bool borrowed;              /* an I/O thread's: who lent it ends it (net/pool/) */
    bool told_end;              /* a borrowed one's `closed` has been called */
    bool recalled;              /* conn_give_up(): nothing more is sent */
    bool takes_parts;           /* io_uring: its protocol does not know MSG_WAITALL: the kernel's TLS */
    int end_error;              /* with `ended`; for CONN_CONNECTING: the result of connecting */
    uint32_t spoke_in;          /* io_uring: see arrivals.h */
    uint32_t input_turn;        /* io_uring: the turn (its low bits) of which input_bytes speaks */
    uint32_t input_bytes;       /* io_uring: delivered in that turn */
    /* io_uring: buffers whose input waits for a later turn: number + 1, 0: none. */
    uint16_t waiting_first, waiting_last;
    int read_result;         /* io_uring: of a receive that has ended, until such input is delivered */
    int send_result;         /* io_uring: bytes sent or -errno, of the send under way */
    size_t sending;          /* io_uring: bytes handed to the send under way */
    const uint8_t *in_place; /* foreign memory being sent, or NULL */
    size_t in_place_left;
    size_t in_place_behind;        /* bytes of output that go first */
    uint8_t *turn_buffer;          /* io_uring: one receive, one turn's worth; NULL: receives are multishot; owned */
    struct list_node waiting_node; /* io_uring: in the list of those with waiting buffers */
    struct list_node settle_node;
    uint64_t settle_turn; /* put into loop->settling in this turn: settled in a later one */
    struct conn_aside *aside;
    struct conn_hold *hold; /* NULL: its output waits for nothing (net/hold.h); owned */
    uint32_t heard_in;      /* the pool's note of when it spoke last; 0: never */
    struct loan *loan;      /* NULL: it is the loop's own; else lent to an I/O thread, or about to be (net/pool/) */
};

struct listener {
    struct endpoint endpoint;
    struct address address;
    void (*accepted)(void *arg, int fd);
    void *arg;
    struct loop_timer *retry; /* accepting pauses: no descriptors left */
    int64_t logged_us;
};

struct loop_watch {
    struct endpoint endpoint;
    int events;
    void (*ready)(void *arg, int events);
    void *arg;
};

struct engine {
    const char *name;
    int (*start)(struct loop *loop, const struct loop_settings *settings); /* 0, or -1 with errno: refused */
    void (*stop)(struct loop *loop);
    void (*abandon)(struct loop *loop); /* closes the engine's own descriptors, in a forked child */

    void (*send)(struct loop *loop); /* starts the sends of loop->sends now */
    /* A turn begins: the sends are started, or will be with the wait. Whom that calls may have something to do, or to
     * say, that the wait has to know of. */
    void (*begin)(struct loop *loop);
    /* Waits (-1: until something happens, 0: not at all), reads the time, delivers what arrived. */
    void (*turn)(struct loop *loop, int64_t timeout_us);

    void (*conn_connect)(struct conn *conn);      /* to aside->to; conn_on_connected() follows, never inside the call */
    void (*conn_read)(struct conn *conn);         /* until the end or conn_stop_reading */
    void (*conn_stop_reading)(struct conn *conn); /* `reading` falls, at once or with conn_on_read_stopped() */
    void (*conn_stop_waiting)(struct conn *conn); /* `send_waiting` falls, at once or with what was sent till then */
    void (*accept)(struct listener *listener);    /* until an error or `pause` */
    void (*pause)(struct listener *listener);
    void (*watch)(struct loop_watch *watch); /* watch->events is new */
    /* It is gone: let go of it, in_flight falls to zero within a turn or two. */
    void (*release)(struct endpoint *endpoint);
};

extern const struct engine engine_uring, engine_epoll;

/* How a loop hears of other threads, and they of it (net/pool/). Whoever has something for a loop that waits wakes it
 * by a watched descriptor. */
struct loop_mailbox {
    void *context;
    bool (*may_wait)(void *context); /* false: something has come already. From here on others wake us. */
    void (*take)(void *context);     /* the wait is over, and what it brought is delivered */
    void (*send)(void *context);     /* sends are about to be started */
    void (*abandon)(void *context);  /* in a child that this loop has forked: closes descriptors */
};

/* Of one connection's input, a turn takes no more than about so much: the rest waits, and others have their turn. */
#define INPUT_BYTES_EACH_TURN ((size_t)64 * 1024)

/* Output of one turn that gathers before its sends are started: more would leave the second-level cache before the
 * kernel gets to copying it. */
#define SEND_EARLY_BYTES ((size_t)192 * 1024)

struct loop {
    const struct engine *engine;
    void *engine_state;
    int64_t wall_us, monotonic_us;
    int64_t woke_us; /* monotonic: when the last wait ended; 0: a wait is under way */
    uint64_t awake_us;
    struct list sends;      /* conn.send_node: output to be started at the end of the turn */
    struct list lent_sends; /* the same of connections that are lent: the mailbox's */
    struct list settling;   /* conn.settle_node: something is due at the next turn */
    struct list live[ENDPOINT_KINDS], dead;
    struct loop_timer **timers; /* a binary heap, the next due first */
    size_t timer_count, timer_capacity;
    uint64_t timers_started;
    void (*before_send)(void *arg);
    void *before_send_arg;
    const struct loop_mailbox *mailbox; /* NULL: no other thread has to do with this loop */
    uint64_t turns;
    uint64_t reads, writes, bytes_sent; /* struct loop_usage */
    size_t flushed_bytes; /* of output in `sends`, as much as there was when it was flushed; and what is to be freed */
    struct list unmarked, marked; /* net/hold.h; the marked by their marks */
    unsigned depth;               /* turns inside turns */
    bool holding;
    struct hold_counts hold_counts; /* but for those that wait, who are in `marked` */
    bool stopping;
    bool no_wait;
    int64_t gather_us; /* of the next wait */
    unsigned gather_pieces;
};

/* --- loop.c --- */
/* For an engine that is about to wait so long (-1: without end): how much of it is to gather input; 0: none. */
int64_t loop_take_gathering(struct loop *loop, int64_t timeout_us);
void loop_send_early(struct loop *loop); /* starts the sends of the turn so far; between two deliveries */
void endpoint_init(struct endpoint *endpoint, struct loop *loop, enum endpoint_kind kind, int fd);
void endpoint_retire(struct endpoint *endpoint); /* gone: released, closed and freed as soon as nothing is in flight */
void watch_on_ready(struct loop_watch *watch, int events);

/* --- timer.c --- */
int64_t timers_due_us(const struct loop *loop); /* monotonic time of the next timer, -1: none */
void timers_run(struct loop *loop);
void timers_free(struct loop *loop);

/* --- conn.c: what engines report. After each of them conn may be gone. --- */
void conn_on_connected(struct conn *conn, int error);
void conn_on_data(struct conn *conn, const uint8_t *data, size_t len);
void conn_on_end(struct conn *conn, int error); /* end of input (0) or an errno; the engine has stopped reading */
void conn_on_read_stopped(struct conn *conn);
void conn_on_sent(struct conn *conn, size_t n);
void conn_on_send_failed(struct conn *conn, int error);
/* The next bytes to send, at most `room` runs of them; `runs` is filled, *total is their sum. Returns how many runs.
 * With TLS they are encrypted here. */
unsigned conn_gather(struct conn *conn, struct iovec *runs, unsigned room, size_t *total);
void conn_fail_later(struct conn *conn, int error); /* like conn_on_end, for engines inside a call of the owner's */
void conn_settle_later(struct conn *conn);          /* in the next turn */
void conn_settle(struct conn *conn);                /* the loop, a turn after conn was put into loop->settling */
void conn_free(struct conn *conn);
void conn_hold(struct conn *conn, const uint8_t *data, size_t len); /* input that may not be delivered now */
void conn_end(struct conn *conn, int error); /* a handler's last call: the owner hears of the end, and conn is gone */
void conn_input_wait(struct conn *conn, bool waits); /* true: it is not read for now; some may still arrive */
/* On another thread's behalf: its descriptor stays the lender's, and what ends it is told, but ends it not. */
struct conn *conn_borrow(struct loop *loop, int fd, struct conn_tls *tls, const struct conn_events *events,
                         void *owner);
/* All of it, as if it had been sent; `to` of the second has room for outq_pending() bytes. */
void conn_take_output(struct conn *conn, struct outq *to);
void conn_copy_output(struct conn *conn, uint8_t *to);
/* As conn_detach, but at once: output that has not left stays in conn_output(),
 * which `detached` may still take from. */
void conn_give_up(struct conn *conn, void (*detached)(void *arg, int fd, const uint8_t *rest, size_t len), void *arg);
bool conn_may_send(const struct conn *conn); /* it has output, and some of that is not held */

/* conn is no thread's any more. `rest`: input that had come; `ended`, with an errno or 0: so has its end. */
void conn_on_returned(struct conn *conn, const uint8_t *rest, size_t len, bool ended, int error);

/* --- conn_tls.c, for conn_has_unsent() --- */
size_t conn_tls_unsent(const struct conn *conn);

static inline bool conn_has_unsent(const struct conn *conn)
{
    if (__builtin_expect(conn->tls != NULL, 0) && conn_tls_unsent(conn)) return true;
    return !outq_empty(&conn->output) || conn->in_place_left > 0;
}

/* --- listener.c --- */
void listener_on_accept(struct listener *listener, int fd);
void listener_on_error(struct listener *listener, int error); /* the engine no longer accepts */

#endif
