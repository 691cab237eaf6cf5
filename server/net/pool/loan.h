/* A connection that is lent to an I/O thread: what conn.c asks of it, and what both threads know of it. Server process.
 *
 * Who owns what. The connection of the loop (`home`) stays where it is, with its owner, its output and its descriptor;
 * while it is lent, the loop's engine does not know it. The thread has a connection of its own (`away`) on the same
 * descriptor, which it never closes. In between go parcels, through two queues (spsc.h), and a parcel belongs to the
 * side that has it, with all that hangs on it:
 *
 *   thread -> loop  INPUT    bytes that have arrived, and what was found in them already
 *                   SHAKEN   its TLS handshake is done
 *                   DRAINED  all output has left, where somebody asked for that
 *                   END      the peer is gone, or has ended: a recall follows
 *                   RETURN   the answer to a recall: input and output that are left. The thread's last word.
 *   loop -> thread  LEND     read this, send that
 *                   OUTPUT   bytes to send; mostly the parcel that brought the input that they answer
 *                   RECALL   give it back at once. The loop's last word.
 *
 * Of a connection at most one INPUT is under way. What arrives before it has come back waits in the thread, which stops
 * reading when that is much. So the commands of a connection keep their order, a client that writes without end fills
 * neither queue, and a connection can be called back whatever it is doing.
 *
 *   of the loop --lend()--> stopping (its input comes to rest) --> lent --loan_end()--> recalled --> of the loop
 *
 * The end of one that was silent overtakes the input of all others, and is told without the recall being waited for:
 * nobody is given a message, or an element of a list, only because his thread's queue comes behind another's. Its END
 * follows.
 *
 * What is unusual is done at home: who closes a connection, hands its descriptor to another process or sees the end of
 * one that had more to say calls it back first, and goes on as if it had never been away (conn_on_returned). */
#ifndef SLIPSTREAM_NET_POOL_LOAN_H
#define SLIPSTREAM_NET_POOL_LOAN_H

#include <stdatomic.h>

#include "server/base/list.h"
#include "server/base/outq.h"
#include "server/base/prefetch.h"

struct conn;
struct conn_tls;
struct loan;
struct io_thread;

enum parcel_kind {
    PARCEL_INPUT,
    PARCEL_SHAKEN,
    PARCEL_DRAINED,
    PARCEL_END,
    PARCEL_RETURN,
    PARCEL_LEND,
    PARCEL_OUTPUT,
    PARCEL_RECALL
};

struct parcel {
    struct loan *loan;
    uint8_t kind;          /* enum parcel_kind */
    bool read;             /* INPUT: `reading` is about it */
    bool brought_input;    /* OUTPUT: it is an INPUT that comes back */
    bool between_requests; /* ... and of its input nothing is kept */
    bool tell_when_drained;
    uint8_t *bytes; /* owned; NULL in the parcels of a loan itself */
    size_t len, capacity;
    struct outq more;      /* OUTPUT: behind `bytes` */
    struct list_node node; /* in a list of the side that has it */
    void *reading;         /* struct pool_host's; NULL: it has never been input */
};

enum loan_state { LOAN_STOPPING, LOAN_LENT, LOAN_RECALLED };

struct loan {
    struct io_thread *thread;
    int fd;
    struct parcel lend, recall, shaken, drained, end, returned; /* of each there is one under way at most */
    /* the loop's */
    struct conn *home;
    struct list_node node;  /* in pool->stopping, or in pool->lent */
    struct parcel *answers; /* INPUT that has run and waits for the turn's end, or NULL */
    uint64_t handed_bytes;
    uint64_t sent_seen; /* sent_bytes, when that was last looked at: its line is the thread's */
    int end_error;
    uint8_t state; /* enum loan_state */
    bool ended;
    bool stays; /* also where threads have nothing to do */
    /* the thread's */
    char line[CACHE_LINE_BYTES];
    struct conn *away;
    struct list gathers; /* parcels of input that cannot leave yet */
    size_t gathered_bytes;
    uint64_t taken_bytes;  /* of the loop's handed_bytes */
    struct list_node much; /* in the thread's list of those that bring too much */
    void *memo;            /* struct pool_host's */
    bool under_way;        /* an INPUT is with the loop */
    bool reads;            /* requests begin where its input does: else the loop keeps the beginning of one */
    _Atomic uint64_t sent_bytes;
    /* END's */
    uint64_t end_taken_bytes; /* taken_bytes; all of them have left, unless it ended with an error */
    struct loan *next_ended;  /* in the thread's `ended` */
    /* RETURN's */
    struct outq unsent;
    uint8_t *rest;
    size_t rest_len;
    struct conn_tls *tls; /* LEND's and RETURN's: it is where the connection is; NULL: plain */
};

/* For conn.c. conn->loan is set. True: it is away, and conn_on_returned() follows; false: it is not lent any more. */
bool loan_end(struct conn *conn);
/* Bytes handed to the thread that have not left; 0: so many as do not matter, OUTQ_CHUNK_BYTES at most. */
size_t loan_unsent(struct loan *loan);

static inline void loan_sent(struct loan *loan, size_t n)
{
    uint64_t sent = atomic_load_explicit(&loan->sent_bytes, memory_order_relaxed);
    atomic_store_explicit(&loan->sent_bytes, sent + n, memory_order_relaxed);
}

#endif
