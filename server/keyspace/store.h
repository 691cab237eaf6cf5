/* The record store: where records, table segments and overflow buckets live. Server process; the snapshot child reads.
 *
 * A slab allocator over one large reserved region, addressed by 32-bit handles that count granules of 8 bytes, so that
 * a table entry costs 4 bytes instead of 8 and a block costs no header. The region is cut into pages of 64 KiB; a page
 * holds blocks of one size class. Classes are every multiple of 8 up to STORE_BLOCK_MAX, and one class of 4096 bytes. A
 * block of 64 bytes is aligned to 64 and one of 4096 to 4096, for a page begins at a multiple of its own size.
 *
 * Each database has a store to itself, so that a flushed database goes whole. A region ends where handles end, at 32
 * GiB. Long before, it is `crowded`: whoever has a choice then puts bytes elsewhere, so that what remains holds many
 * small records. Near the end it is `pressed`, and the owner makes room or refuses to add. */
#ifndef SLIPSTREAM_KEYSPACE_STORE_H
#define SLIPSTREAM_KEYSPACE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_GRANULE      8
#define STORE_BLOCK_MAX    512                               /* largest block of the fine classes, bytes */
#define STORE_BLOCK_LARGE  4096                              /* the one larger class */
#define STORE_FINE_CLASSES (STORE_BLOCK_MAX / STORE_GRANULE) /* class c < this: blocks of (c + 1) granules */
#define STORE_CLASSES      (STORE_FINE_CLASSES + 1)

struct store_page; /* bookkeeping of one page, kept beside the region so that walking it touches no record */

struct store_class {
    uint32_t first, last; /* pages with room, by index; allocation takes from the first. UINT32_MAX: none */
};

struct store {
    uint8_t *base;            /* handle h stands at base + h * STORE_GRANULE */
    bool crowded;             /* three quarters of its pages hold blocks */
    bool pressed;             /* few pages are left */
    struct store_page *pages; /* of all pages ever handed out */
    uint32_t page_count, page_capacity;
    uint32_t page_limit;     /* pages in the reserved region */
    size_t granted;          /* bytes from base that may be touched */
    size_t used;             /* bytes in live blocks */
    uint32_t idle_first;     /* pool of empty pages whose memory is still held */
    uint32_t released_first; /* pool of empty pages whose memory went back to the kernel */
    uint32_t idle_count, released_count;
    struct store_class classes[STORE_CLASSES];
};

extern size_t store_region_bytes; /* of a store made from now on, at most; a multiple of 2 MiB; tests make it small */
extern atomic_int stores_crowded, stores_pressed; /* how many are */

static inline bool stores_any_crowded(void)
{
    return atomic_load_explicit(&stores_crowded, memory_order_relaxed) > 0;
}

static inline bool stores_any_pressed(void)
{
    return atomic_load_explicit(&stores_pressed, memory_order_relaxed) > 0;
}

struct store *store_new(void);
void store_free(struct store *s); /* every block at once; what blocks point to is the owner's business */

/* A block of at least `size` bytes (<= STORE_BLOCK_MAX, or STORE_BLOCK_LARGE), content undefined. Never 0: that handle
 * means "none". Where no page is left it may be one of a larger class. Ends the process with a clear line when the
 * region or the machine's memory is exhausted. */
uint32_t store_alloc(struct store *s, size_t size);
void store_release(struct store *s, uint32_t handle);

static inline void *store_at(const struct store *s, uint32_t handle)
{
    return s->base + (size_t)handle * STORE_GRANULE;
}

static inline uint32_t store_handle(const struct store *s, const void *block)
{
    return (uint32_t)((size_t)((const uint8_t *)block - s->base) / STORE_GRANULE);
}

/* What a block asked for with `size` bytes really holds. */
static inline size_t store_block_size(size_t size)
{
    return (size + STORE_GRANULE - 1) / STORE_GRANULE * STORE_GRANULE;
}

size_t store_resident(const struct store *s); /* bytes of pages that hold memory */

/* Of a store that is pressed: so many bytes of blocks should go, so that others can come in their place. */
size_t store_excess(const struct store *s);
bool store_is_full(const struct store *s);        /* what is left is for those who cannot be refused */
bool store_reserve_is_low(const struct store *s); /* half of that is used up */
bool store_is_exhausted(const struct store *s);   /* that, too, is used up, but for one record's sake */

#endif
