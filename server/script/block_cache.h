/* Small blocks that a virtual machine's collector has given back: its values come and go by the thousand, and most of
 * them are small. Each stays a block of malloc's own, so that any of them can be freed or made larger there. */
#ifndef SLIPSTREAM_SCRIPT_BLOCK_CACHE_H
#define SLIPSTREAM_SCRIPT_BLOCK_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#define BLOCK_STEP      16
#define BLOCK_KINDS     8 /* up to 128 bytes: a table has 64, an array or a text of a few words less */
#define BLOCK_MOST_HELD ((size_t)1 << 20)

struct block {
    struct block *next;
};

struct block_cache {
    struct block *blocks[BLOCK_KINDS];
    size_t held_bytes;
};

static inline bool block_is_small(size_t size)
{
    return size <= (size_t)BLOCK_STEP * BLOCK_KINDS;
}

static inline size_t block_kind(size_t size) /* which is not 0 */
{
    return (size - 1) / BLOCK_STEP;
}

/* Of a small size; NULL: no memory. */
static inline void *block_take(struct block_cache *c, size_t size)
{
    size_t kind = block_kind(size);
    struct block *b = c->blocks[kind];
    if (!b) return malloc((kind + 1) * BLOCK_STEP);
    c->blocks[kind] = b->next;
    c->held_bytes -= (kind + 1) * BLOCK_STEP;
    return b;
}

static inline void block_give(struct block_cache *c, void *ptr, size_t size)
{
    size_t kind = block_kind(size);
    if (c->held_bytes >= BLOCK_MOST_HELD) {
        free(ptr);
        return;
    }
    struct block *b = ptr;
    b->next = c->blocks[kind];
    c->blocks[kind] = b;
    c->held_bytes += (kind + 1) * BLOCK_STEP;
}

/* Also while more is to come. */
static inline void block_cache_clear(struct block_cache *c)
{
    for (size_t kind = 0; kind < BLOCK_KINDS; kind++) {
        struct block *next;
        for (struct block *b = c->blocks[kind]; b; b = next) {
            next = b->next;
            free(b);
        }
        c->blocks[kind] = NULL;
    }
    c->held_bytes = 0;
}

#endif
