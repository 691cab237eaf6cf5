/* Bytes that have arrived and cannot be used yet, in one piece. All zero is an empty one. */
#ifndef SLIPSTREAM_REPL_INBOX_H
#define SLIPSTREAM_REPL_INBOX_H

#include "server/base/alloc.h"
#include "server/base/bytes.h"
#include "server/keyspace/free_aside.h"

struct inbox {
    uint8_t *data;
    size_t len, capacity;
};

static inline void inbox_append(struct inbox *b, const uint8_t *data, size_t len)
{
    if (len > b->capacity - b->len) {
        size_t wanted = b->len + len;
        b->capacity = wanted > 2 * b->capacity ? wanted : 2 * b->capacity;
        b->data = mem_realloc(b->data, b->capacity);
    }
    if (len) memcpy(b->data + b->len, data, len);
    b->len += len;
}

static inline void inbox_clear(struct inbox *b)
{
    free_aside_memory(b->data);
    *b = (struct inbox){0};
}

static inline void inbox_consume(struct inbox *b, size_t n)
{
    b->len -= n;
    if (!b->len)
        inbox_clear(b); /* what one large value needed is not kept for the small ones */
    else if (n)
        memmove(b->data, b->data + n, b->len);
}

#endif
