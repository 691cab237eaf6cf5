/* One I/O thread, and what it shares with the loop that lends to it. The inside of server/net/pool/. */
#ifndef SLIPSTREAM_NET_POOL_IO_THREAD_H
#define SLIPSTREAM_NET_POOL_IO_THREAD_H

#include <pthread.h>
#include <semaphore.h>

#include "server/net/engine.h"
#include "server/net/pool/loan.h"
#include "server/net/pool/pool.h"
#include "server/net/pool/spsc.h"

/* Of one connection, output that a thread has and could not send yet: the rest waits with the loop, where it counts. */
#define LOAN_OUTPUT_BYTES ((size_t)256 * 1024)
/* Input that waits for the loop: past it the connection is not read. */
#define LOAN_INPUT_BYTES INPUT_BYTES_EACH_TURN

/* A list of parcels for a queue that is full, in order; and a stock of those that nobody needs at present. */
struct io_thread {
    struct spsc to_loop, to_thread;
    int wake_fd;      /* of the thread */
    int loop_wake_fd; /* of the loop; the same for all */
    pthread_t id;
    unsigned number; /* from 0 on */
    enum loop_engine engine;
    struct pool_host host;
    _Atomic bool stops;
    int start_error;
    sem_t started; /* loop is there, or could not be had */
    /* the loop's */
    struct list waiting_to_thread; /* struct parcel.node */
    bool pushed;                   /* in this turn */
    struct pool_thread_view view;  /* what it does */
    /* both's */
    _Atomic(struct loan *)
        ended; /* by next_ended: silent ones that have ended. The thread puts in, the loop takes out */
    /* the thread's */
    struct loop *loop; /* for a forked child of the loop's to close */
    struct list waiting_to_loop, stock;
    bool brought;          /* something is in to_loop that the loop has not been woken for */
    struct list much;      /* struct loan.much: not to be read for now */
    uint64_t reads_before; /* when it last was about to wait */
};

/* 0, or an errno. */
int io_thread_start(struct io_thread *t);
void io_thread_wake(struct io_thread *t); /* by the loop */

/* --- both sides --- */
void watch_wake_ups(struct loop *loop, int fd); /* an eventfd's; its turn ends, and its mailbox is looked into */
/* The one that was given last, which is still in the cache, or a new one. */
struct parcel *parcel_take(struct list *stock);
void parcel_will_be_read(struct parcel *p, const struct pool_host *host);
void parcel_give(struct list *stock, size_t most, const struct pool_host *host, struct parcel *p);
uint8_t *parcel_room(struct parcel *p, size_t len); /* where so many more bytes go */
/* Never refuses: what the queue does not take waits in `waiting`, and goes with the next. */
void parcel_push(struct spsc *q, struct list *waiting, struct parcel *p);
bool parcel_push_waiting(struct spsc *q, struct list *waiting); /* whether there was room for any of them */

#endif
