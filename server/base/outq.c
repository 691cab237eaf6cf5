/* Output queues: chains of chunks that replies are written into and the loop sends from. Any process.
 *
 * Chunks of the common size go round through a short free list, so that a busy server's replies cost no allocation; a
 * drained queue holds no chunk at all, so that ten thousand idle connections cost nothing. What lies in that list is in
 * nobody's use and leaves the heap's count, as what an allocator keeps for itself does: a memory limit and used_memory
 * say the same. */
#include "server/base/outq.h"

#include <stddef.h>

#include "server/base/alloc.h"
#include "server/base/check.h"

#define CHUNK_HEADER    offsetof(struct outq_chunk, data)
#define COMMON_CAPACITY (OUTQ_CHUNK_BYTES - CHUNK_HEADER)
#define LARGEST_CHUNK   (1u << 30)
#define RECYCLED_MAX    64 /* a mebibyte */

static _Thread_local struct outq_chunk *recycled;
static _Thread_local size_t recycled_count;
static _Thread_local bool makes_uncounted;

static void count_chunk(struct outq_chunk *c, bool counted)
{
    if (c->uncounted != counted) return;
    c->uncounted = !counted;
    mem_account(counted ? (ptrdiff_t)c->heap_bytes : -(ptrdiff_t)c->heap_bytes);
}

static struct outq_chunk *chunk_take(size_t least)
{
    struct outq_chunk *c;
    size_t capacity = least > COMMON_CAPACITY ? least : COMMON_CAPACITY;
    CHECK(capacity <= UINT32_MAX);
    if (capacity == COMMON_CAPACITY && recycled) {
        c = recycled;
        recycled = c->next;
        recycled_count--;
    } else {
        c = mem_alloc(CHUNK_HEADER + capacity);
        c->heap_bytes = mem_size(c);
        c->uncounted = false;
    }
    count_chunk(c, !makes_uncounted);
    c->next = NULL;
    c->capacity = (uint32_t)capacity;
    c->filled = c->consumed = 0;
    return c;
}

static void chunk_give(struct outq_chunk *c)
{
    if (c->capacity != COMMON_CAPACITY || recycled_count == RECYCLED_MAX) {
        count_chunk(c, true);
        mem_free(c);
        return;
    }
    c->next = recycled;
    recycled = c;
    recycled_count++;
    count_chunk(c, false);
}

/* Unconsumed bytes of the tail, which exists. */
static size_t tail_pending(const struct outq *q)
{
    return (size_t)(q->cursor - q->tail->data) - q->tail->consumed;
}

static void drop_tail(struct outq *q)
{
    struct outq_chunk *dropped = q->tail, *before = q->head;
    if (before == dropped) {
        q->head = q->tail = NULL;
    } else {
        while (before->next != dropped) before = before->next;
        before->next = NULL;
        q->tail = before;
    }
    q->held_bytes -= dropped->heap_bytes;
    chunk_give(dropped);
}

/* Ends the writing into the tail, so that a chunk can be linked behind it. A tail that nothing was written into (a
 * reservation that was too small for the next) goes: only in this way no chunk but the tail is ever empty. */
static void seal_tail(struct outq *q)
{
    if (!q->tail) return;
    size_t pending = tail_pending(q);
    if (pending == 0) {
        drop_tail(q);
        return;
    }
    q->tail->filled = (uint32_t)(q->cursor - q->tail->data);
    q->full_bytes += pending;
}

uint8_t *outq_grow(struct outq *q, size_t n)
{
    seal_tail(q);
    struct outq_chunk *c = chunk_take(n);
    if (q->tail) {
        q->tail->next = c;
    } else {
        q->head = c;
    }
    q->tail = c;
    q->held_bytes += c->heap_bytes;
    q->cursor = c->data;
    q->limit = c->data + c->capacity;
    return q->cursor;
}

void outq_append(struct outq *q, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        size_t room = (size_t)(q->limit - q->cursor);
        if (room == 0) {
            outq_grow(q, len < LARGEST_CHUNK ? len : LARGEST_CHUNK);
            continue;
        }
        size_t n = len < room ? len : room;
        memcpy(q->cursor, at, n);
        q->cursor += n;
        at += n;
        len -= n;
    }
}

size_t outq_pending(const struct outq *q)
{
    return q->tail ? q->full_bytes + tail_pending(q) : 0;
}

size_t outq_memory(const struct outq *q)
{
    return q->held_bytes;
}

struct outq_parts outq_parts(const struct outq *q)
{
    struct outq_parts p = {.list_bytes = q->held_bytes};
    for (const struct outq_chunk *c = q->head; c; c = c->next) p.list_chunks++;
    if (!q->tail || q->tail->capacity != COMMON_CAPACITY) return p;
    p.buffer_bytes = OUTQ_CHUNK_BYTES;
    p.buffer_used = tail_pending(q);
    p.list_bytes -= q->tail->heap_bytes;
    p.list_chunks--;
    return p;
}

struct bytes outq_front(const struct outq *q)
{
    if (!q->head) return bytes_make(NULL, 0);
    const uint8_t *start = q->head->data + q->head->consumed;
    const uint8_t *end = q->head == q->tail ? q->cursor : q->head->data + q->head->filled;
    return bytes_make(start, (size_t)(end - start));
}

void outq_consume(struct outq *q, size_t n)
{
    while (n > 0) {
        struct outq_chunk *c = q->head;
        CHECK(c != NULL);
        size_t here = outq_front(q).len;
        size_t taken = n < here ? n : here;
        bool is_tail = c == q->tail;
        CHECK(taken > 0);
        c->consumed += (uint32_t)taken;
        if (!is_tail) q->full_bytes -= taken;
        n -= taken;
        if (taken < here) continue;
        q->head = c->next;
        q->held_bytes -= c->heap_bytes;
        if (is_tail) *q = (struct outq){0};
        chunk_give(c);
    }
}

void outq_move(struct outq *to, struct outq *from)
{
    size_t pending = outq_pending(from);
    if (pending == 0) {
        outq_clear(from);
        return;
    }
    if (from->head == from->tail && pending <= (size_t)(to->limit - to->cursor)) {
        outq_append(to, outq_front(from).ptr, pending); /* shorter than a chunk's worth of waste */
        outq_clear(from);
        return;
    }
    seal_tail(to);
    if (to->tail) {
        to->tail->next = from->head;
    } else {
        to->head = from->head;
    }
    to->tail = from->tail;
    to->cursor = from->cursor;
    to->limit = from->limit;
    to->full_bytes += from->full_bytes;
    to->held_bytes += from->held_bytes;
    *from = (struct outq){0};
}

void outq_take(struct outq *q, uint8_t *to)
{
    for (const struct outq_chunk *c = q->head; c; c = c->next) {
        const uint8_t *start = c->data + c->consumed;
        const uint8_t *stop = c == q->tail ? q->cursor : c->data + c->filled;
        memcpy(to, start, (size_t)(stop - start));
        to += stop - start;
    }
    outq_clear(q);
}

void outq_clear(struct outq *q)
{
    for (struct outq_chunk *c = q->head, *next; c; c = next) {
        next = c->next;
        chunk_give(c);
    }
    *q = (struct outq){0};
}

void outq_count(struct outq *q, bool counted)
{
    for (struct outq_chunk *c = q->head; c; c = c->next) count_chunk(c, counted);
}

void outq_do_not_count_on_this_thread(void)
{
    makes_uncounted = true;
}

void outq_end_of_thread(void)
{
    for (struct outq_chunk *c; (c = recycled);) {
        recycled = c->next;
        count_chunk(c, true);
        mem_free(c);
    }
    recycled_count = 0;
}
