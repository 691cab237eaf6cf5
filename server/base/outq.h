/* An output queue: bytes waiting to leave, in a chain of chunks. Replies are written straight into it.
 *
 * Invariants: `cursor` points into the tail chunk and `limit` at its end (both NULL when there is no chunk); bytes
 * before `cursor` are final, so a chunk may be in flight to the kernel while more is appended behind; the bytes of a
 * chunk never move. Only outq_consume() gives chunks back, from the head. Chunks of the common size are recycled (per
 * thread). */
#ifndef SLIPSTREAM_BASE_OUTQ_H
#define SLIPSTREAM_BASE_OUTQ_H

#include "server/base/bytes.h"

#define OUTQ_CHUNK_BYTES (16 * 1024) /* a common chunk with its header */

struct outq_chunk {
    struct outq_chunk *next;
    size_t heap_bytes; /* what the heap's count has for it, or would have */
    uint32_t capacity; /* bytes in data */
    uint32_t filled;   /* set when the chunk stops being the tail; the tail's fill is `cursor - data` */
    uint32_t consumed; /* bytes at the front that have left */
    bool uncounted;    /* stands outside the heap's count */
    uint8_t data[];
};

struct outq {
    struct outq_chunk *head, *tail;
    uint8_t *cursor, *limit;
    size_t full_bytes; /* unconsumed bytes in all chunks but the tail */
    size_t held_bytes; /* heap_bytes of all chunks */
};

uint8_t *outq_grow(struct outq *q, size_t n); /* slow path of outq_reserve */

/* At least n contiguous writable bytes; write, then outq_commit(q, end of what was written). n of any size. */
static inline uint8_t *outq_reserve(struct outq *q, size_t n)
{
    if (__builtin_expect((size_t)(q->limit - q->cursor) >= n && q->cursor, 1)) return q->cursor;
    return outq_grow(q, n);
}

static inline void outq_commit(struct outq *q, uint8_t *end)
{
    q->cursor = end;
}

void outq_append(struct outq *q, const void *data, size_t len); /* fills the tail, then new chunks */
size_t outq_pending(const struct outq *q);                      /* bytes not yet consumed */
size_t outq_memory(const struct outq *q);                       /* heap bytes held */

/* What CLIENT LIST tells apart, in Redis's terms. */
struct outq_parts {
    size_t buffer_bytes, buffer_used; /* one common chunk that is being written to; 0: there is none */
    size_t list_chunks, list_bytes;   /* all others */
};
struct outq_parts outq_parts(const struct outq *q);

static inline bool outq_empty(const struct outq *q)
{
    return !q->head || (q->head == q->tail && q->cursor == q->head->data + q->head->consumed);
}

struct bytes outq_front(const struct outq *q);      /* first contiguous run of unconsumed bytes; len 0 when empty */
void outq_consume(struct outq *q, size_t n);        /* n bytes, possibly over several chunks, have left */
void outq_move(struct outq *to, struct outq *from); /* appends from's bytes behind to's; from is empty afterwards */
void outq_take(struct outq *q, uint8_t *to);        /* copies all outq_pending() bytes there; it is empty afterwards */
void outq_clear(struct outq *q);                    /* drops everything */

/* Whether its chunks stand in the heap's count. What this thread makes from now on does not. */
void outq_count(struct outq *q, bool counted);
void outq_do_not_count_on_this_thread(void);
void outq_end_of_thread(void); /* gives back what it keeps for the next queues */

#endif
