/* The io_uring engine's ring and its receive buffers: made and probed in uring_setup.c, used in engine_uring.c. */
#ifndef SLIPSTREAM_NET_URING_H
#define SLIPSTREAM_NET_URING_H

#include <liburing.h>
#include <sys/socket.h>

#include "server/base/list.h"
#include "server/net/arrivals.h"

/* Submissions that fit before a turn has to enter the kernel a second time. */
#define URING_ENTRIES 1024
/* Completions are never lost when these run out, but the overflow costs allocations in the kernel. */
#define URING_COMPLETIONS_MIN 2048
#define URING_COMPLETIONS_MAX 8192

/* Receive buffers: small enough together to stay in the second-level cache, each large enough for a full pipeline. When
 * a turn runs out of them, more are provided, up to the maximum. Their starts are a few lines more than a power of two
 * apart: otherwise all of them would compete for the same few sets of the caches. */
#define URING_BUFFER_BYTES  (16 * 1024)
#define URING_BUFFER_STRIDE (URING_BUFFER_BYTES + 5 * 64)
#define URING_BUFFERS       64
#define URING_BUFFERS_MAX   1024 /* a power of two */
#define URING_BUFFER_GROUP  0

/* A send that never waits and fails when it falls short: see engine_uring.c. */
#define URING_SEND_NOW_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL)

/* Where a send of several runs keeps its message until it is submitted; then the kernel has its own copy. */
#define URING_GATHERS     64
#define URING_GATHER_RUNS 16

struct uring_gather {
    struct msghdr message;
    struct iovec runs[URING_GATHER_RUNS];
};

/* A buffer whose input waits for a later turn. */
struct uring_waiting {
    uint16_t next; /* of the same connection: number + 1, 0: none */
    uint16_t len;
};

struct uring {
    struct io_uring ring;
    struct io_uring_buf_ring *buffer_ring;
    uint8_t *buffers;                              /* URING_BUFFERS_MAX of them reserved; touched from the first on */
    unsigned buffer_count;                         /* provided so far */
    bool starved;                                  /* this turn ran out of them */
    struct list waiting;                           /* struct conn.waiting_node */
    struct uring_waiting waits[URING_BUFFERS_MAX]; /* by the buffer's number */
    struct list sending;                           /* connections whose send is submitted and not yet concluded */
    unsigned scanned;                              /* completions up to here have been searched for results of sends */
    struct arrivals arrivals;
    unsigned gathers_used;
    struct uring_gather gathers[URING_GATHERS];
};

/* A ring that can do all that the engine needs. NULL with errno where the kernel, or who watches over it, refuses. */
struct uring *uring_new(unsigned connections_hint);
void uring_free(struct uring *u);

static inline uint8_t *uring_buffer(const struct uring *u, unsigned id)
{
    return u->buffers + (size_t)id * URING_BUFFER_STRIDE;
}

/* Gives a buffer (back) to the kernel. */
static inline void uring_provide(struct uring *u, unsigned id)
{
    io_uring_buf_ring_add(u->buffer_ring, uring_buffer(u, id), URING_BUFFER_BYTES, (unsigned short)id,
                          URING_BUFFERS_MAX - 1, 0);
    io_uring_buf_ring_advance(u->buffer_ring, 1);
}

void uring_provide_more(struct uring *u); /* doubles the buffers, up to URING_BUFFERS_MAX */

#endif
