/* I/O threads: connections of one loop are lent to threads, which receive, read requests and send, while what stands
 * behind the connections stays with the loop's own thread. What goes between them is in loan.h, when in policy.h. */
#ifndef SLIPSTREAM_NET_POOL_POOL_H
#define SLIPSTREAM_NET_POOL_POOL_H

#include "server/net/conn.h"

struct pool;

/* The first bytes of a `reading` are fetched into the loop's cache ahead: what it needs of each belongs there. */
#define POOL_READING_HOT_BYTES 128

/* What input means, is its owner's to know. A `reading` is what can be found out about a run of bytes by themselves. */
struct pool_host {
    void *context;
    size_t reading_bytes;
    void (*init)(void *reading);
    void (*free)(void *reading);
    void (*rest)(void *reading); /* it lies in stock from now on: only what is usual is kept */
    /* On an I/O thread, of bytes that a request begins with. *memo is the connection's own, NULL at first, and nobody
     * frees it. */
    void (*read)(void *context, void *reading, void **memo, const uint8_t *data, size_t len);
};

struct pool_settings {
    unsigned threads; /* beside the loop's own */
    unsigned working; /* connections are spread over so many of them, at least 1 */
    bool always;      /* not only where it pays: for tests */
    struct pool_host host;
};

/* Starts the threads, which sleep until there is work. NULL: the system gives none; errno says why. */
struct pool *pool_new(struct loop *loop, const struct pool_settings *settings);
/* Sends what there is to send, as far as the sockets take it, and ends the threads. Connections stay lent. */
void pool_stop(struct pool *pool);

/* conn has been heard and is at rest, as far as its owner is concerned: it may be lent from now on, if that is worth
 * it. Its owner hears `prepared` beside `data` from then on. */
void pool_heard(struct pool *pool, struct conn *conn);

/* conn's bytes are work in any case: a TLS handshake, or a stream that has to be encrypted. It is lent as soon as its
 * input is at rest, if its loop has I/O threads; `stays`: for good. Called again it is tried again. */
void pool_lend_work(struct conn *conn, bool stays);

struct pool_view {
    bool active; /* threads do the work at present */
    unsigned threads;
};
struct pool_thread_view {
    uint32_t connections;   /* lent to it */
    uint64_t reads, writes; /* pieces of input it has brought, of output it was given */
};
struct pool_view pool_view(const struct pool *pool); /* NULL: there is none */
struct pool_thread_view pool_thread_view(const struct pool *pool, unsigned thread);
void pool_reset_counts(struct pool *pool); /* reads and writes; NULL is allowed */

#endif
