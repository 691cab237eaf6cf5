/* The slab allocator behind the keyspace. Server process.
 *
 * Why not the heap: a heap block of 39 bytes costs 48 and an 8-byte pointer; here it costs 40 and a 4-byte handle. The
 * region is reserved without access and opened in steps, so that a machine that refuses overcommit still starts us, and
 * what is opened is all that is ever charged. Bytes are counted per live block, not per page: eviction must see the
 * effect of each key it removes. */
#include "server/keyspace/store.h"

#include <errno.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"

#define RESERVE_MIN_BYTES (64ull << 20)
#define HUGE_PAGE_BYTES   (2ull << 20)
#define GRANT_BYTES       (2 * HUGE_PAGE_BYTES)
#define PAGE_BYTES        (64u << 10)
#define PAGE_GRANULES     (PAGE_BYTES / STORE_GRANULE)
#define NO_PAGE           UINT32_MAX
#define IDLE_PAGES_MAX    64 /* empty pages that keep their memory: 4 MiB */
#define BUCKET_ALIGNMENT  64 /* of blocks of this size */
#define FIRST_PAGES       (HUGE_PAGE_BYTES / PAGE_BYTES)
#define RECORD_PAGES      4  /* pages that adding one record may begin: itself, moved, a segment of the table */
#define PRESSED_SHARE     32 /* one in so many pages left, and the store is pressed; a quarter of that: full */

size_t store_region_bytes = (size_t)32 << 30; /* all that a 32-bit handle reaches */
atomic_int stores_crowded, stores_pressed;

/* Look-ups all over a large region spend most of their time on address translation; huge pages take that away. What
 * spoke against them under a forked snapshot, a copy of two megabytes for a write of one byte, is no longer so: since
 * Linux 5.8 a shared huge page that is written to is split, and only the small page copied. */
static int region_advice(void)
{
    struct utsname kernel;
    int major = 0, minor = 0;
    if (uname(&kernel) || sscanf(kernel.release, "%d.%d", &major, &minor) != 2) return MADV_NORMAL;
    return major > 5 || (major == 5 && minor >= 8) ? MADV_HUGEPAGE : MADV_NORMAL;
}

/* A small database shall not cost a huge page: the first of the region becomes one when the second is begun. */
static void advise(struct store *s, size_t size)
{
    int advice = region_advice();
    madvise(s->base, size, advice);
    if (advice == MADV_HUGEPAGE) madvise(s->base, HUGE_PAGE_BYTES, MADV_NOHUGEPAGE);
}

struct store_page {
    uint32_t free;           /* handle of the first free block, each holding the next one's handle; 0: none */
    uint32_t previous, next; /* neighbours in its class's list of pages with room, or in a pool */
    uint16_t used;           /* live blocks */
    uint16_t fresh;          /* blocks ever handed out: those behind were never touched */
    uint8_t class;
    bool serving; /* not in a pool */
    bool listed;  /* in its class's list */
};

static unsigned class_of(size_t size)
{
    if (size <= STORE_BLOCK_MAX) return (unsigned)((size + STORE_GRANULE - 1) / STORE_GRANULE - 1);
    CHECK(size == STORE_BLOCK_LARGE);
    return STORE_FINE_CLASSES;
}

static uint32_t class_granules(unsigned class)
{
    return class < STORE_FINE_CLASSES ? class + 1 : STORE_BLOCK_LARGE / STORE_GRANULE;
}

static uint32_t page_of(uint32_t handle)
{
    return handle / PAGE_GRANULES;
}

static uint8_t *page_address(const struct store *s, uint32_t page)
{
    return s->base + (size_t)page * PAGE_BYTES;
}

struct store *store_new(void)
{
    struct store *s = mem_calloc(1, sizeof(*s));
    size_t size = store_region_bytes;
    void *region = MAP_FAILED;
    for (; size >= RESERVE_MIN_BYTES || size == store_region_bytes; size /= 2) {
        /* More than needed, so that no grant ends inside a huge page: what is touched of such a page before the rest of
         * it is opened stays in small ones. */
        region = mmap(NULL, size + HUGE_PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (region != MAP_FAILED) break;
    }
    if (region == MAP_FAILED) {
        log_warning("Can't reserve address space for the keyspace: %s", strerror(errno));
        CHECK(region != MAP_FAILED);
    }
    uintptr_t aligned = ((uintptr_t)region + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    size_t lead = aligned - (uintptr_t)region;
    if (lead > 0) munmap(region, lead);
    if (lead < HUGE_PAGE_BYTES) munmap((void *)(aligned + size), HUGE_PAGE_BYTES - lead);
    s->base = (void *)aligned;
    advise(s, size);
    s->page_limit = (uint32_t)(size / PAGE_BYTES);
    s->idle_first = s->released_first = NO_PAGE;
    for (int i = 0; i < STORE_CLASSES; i++) s->classes[i] = (struct store_class){NO_PAGE, NO_PAGE};
    return s;
}

void store_free(struct store *s)
{
    mem_account(-(ptrdiff_t)s->used);
    if (s->crowded) atomic_fetch_sub(&stores_crowded, 1);
    if (s->pressed) atomic_fetch_sub(&stores_pressed, 1);
    munmap(s->base, (size_t)s->page_limit * PAGE_BYTES);
    mem_free(s->pages);
    mem_free(s);
}

/* --- pages --- */

/* Opens memory up to the end of page `page`. */
static void grant(struct store *s, uint32_t page)
{
    size_t needed = ((size_t)page + 1) * PAGE_BYTES;
    if (needed <= s->granted) return;
    size_t limit = (size_t)s->page_limit * PAGE_BYTES;
    size_t target = (needed + GRANT_BYTES - 1) / GRANT_BYTES * GRANT_BYTES;
    if (target > limit) target = limit;
    if (mprotect(s->base + s->granted, target - s->granted, PROT_READ | PROT_WRITE) != 0) {
        log_warning("Out of memory: the keyspace holds %zu bytes and the kernel refuses more: %s", s->used,
                    strerror(errno));
        CHECK(!"out of memory for records");
    }
    s->granted = target;
}

static uint32_t page_beyond(struct store *s)
{
    if (s->page_count == s->page_capacity) {
        s->page_capacity = s->page_capacity ? s->page_capacity * 2 : 64;
        s->pages = mem_realloc(s->pages, s->page_capacity * sizeof(*s->pages));
    }
    if (s->page_count == FIRST_PAGES) madvise(s->base, HUGE_PAGE_BYTES, region_advice());
    grant(s, s->page_count);
    return s->page_count++;
}

static void class_unlink(struct store *s, uint32_t index)
{
    struct store_page *p = &s->pages[index];
    struct store_class *c = &s->classes[p->class];
    if (p->previous != NO_PAGE) s->pages[p->previous].next = p->next;
    if (p->next != NO_PAGE) s->pages[p->next].previous = p->previous;
    if (c->first == index) c->first = p->next;
    if (c->last == index) c->last = p->previous;
    p->listed = false;
}

/* Behind the others: the page that allocation is filling stays first, and this one has time to become empty. */
static void class_append(struct store *s, uint32_t index)
{
    struct store_page *p = &s->pages[index];
    struct store_class *c = &s->classes[p->class];
    p->previous = c->last;
    p->next = NO_PAGE;
    if (c->last != NO_PAGE)
        s->pages[c->last].next = index;
    else
        c->first = index;
    c->last = index;
    p->listed = true;
}

static uint32_t pages_left(const struct store *s)
{
    return s->page_limit - s->page_count + s->idle_count + s->released_count;
}

static void set_and_count(bool *flag, bool value, atomic_int *count)
{
    if (*flag != value) atomic_fetch_add(count, value ? 1 : -1);
    *flag = value;
}

static void note_pages(struct store *s)
{
    uint32_t left = pages_left(s);
    set_and_count(&s->crowded, left < s->page_limit / 4, &stores_crowded);
    set_and_count(&s->pressed, left < s->page_limit / PRESSED_SHARE, &stores_pressed);
}

size_t store_excess(const struct store *s)
{
    size_t most = (size_t)s->page_limit * PAGE_BYTES / PRESSED_SHARE * (PRESSED_SHARE - 1);
    return s->pressed && s->used > most ? s->used - most : 0;
}

bool store_is_full(const struct store *s)
{
    return pages_left(s) < s->page_limit / PRESSED_SHARE / 4;
}

bool store_reserve_is_low(const struct store *s)
{
    return pages_left(s) < s->page_limit / PRESSED_SHARE / 8;
}

bool store_is_exhausted(const struct store *s)
{
    return s->pressed && pages_left(s) < RECORD_PAGES;
}

/* Gives a class one more page: an empty one that still holds memory, one that does not, or a new one, in this order. */
static void class_add_page(struct store *s, unsigned class)
{
    uint32_t index;
    if (s->idle_first != NO_PAGE) {
        index = s->idle_first;
        s->idle_first = s->pages[index].next;
        s->idle_count--;
    } else if (s->released_first != NO_PAGE) {
        index = s->released_first;
        s->released_first = s->pages[index].next;
        s->released_count--;
    } else {
        index = page_beyond(s);
    }
    /* Handle 0 means "none", so the first block of the first page is never handed out. */
    s->pages[index] = (struct store_page){.class = (uint8_t) class, .serving = true, .fresh = index == 0};
    class_append(s, index);
    note_pages(s);
}

/* A page without live blocks goes to a pool. A few keep their memory, for classes that come and go; of the others the
 * kernel gets it back, page by page, so that no removal ever pays for more than one. */
static void retire(struct store *s, uint32_t index)
{
    struct store_page *p = &s->pages[index];
    class_unlink(s, index);
    p->serving = false;
    if (s->idle_count < IDLE_PAGES_MAX) {
        p->next = s->idle_first;
        s->idle_first = index;
        s->idle_count++;
    } else {
        madvise(page_address(s, index), PAGE_BYTES, MADV_DONTNEED);
        p->next = s->released_first;
        s->released_first = index;
        s->released_count++;
    }
    note_pages(s);
}

/* --- blocks --- */

/* The class that a block of this one is taken from: itself, or a larger one where no page is left for it. */
static unsigned class_with_room(struct store *s, unsigned class)
{
    if (s->classes[class].first != NO_PAGE) return class;
    if (pages_left(s) > 0) {
        class_add_page(s, class);
        return class;
    }
    const uint32_t aligned = BUCKET_ALIGNMENT / STORE_GRANULE;
    for (unsigned larger = class + 1; larger < STORE_CLASSES; larger++) {
        if (class_granules(class) == aligned && class_granules(larger) % aligned) continue;
        if (s->classes[larger].first != NO_PAGE) return larger;
    }
    log_warning("Out of memory: the keyspace's region of %zu bytes is full", (size_t)s->page_limit * PAGE_BYTES);
    CHECK(!"record store full");
}

uint32_t store_alloc(struct store *s, size_t size)
{
    unsigned class = class_of(size);
    if (unlikely(s->classes[class].first == NO_PAGE)) class = class_with_room(s, class);
    uint32_t granules = class_granules(class);
    uint32_t index = s->classes[class].first;
    struct store_page *p = &s->pages[index];
    uint32_t handle = p->free;
    if (handle)
        memcpy(&p->free, store_at(s, handle), sizeof(p->free));
    else
        handle = index * PAGE_GRANULES + p->fresh++ * granules;
    p->used++;
    if (unlikely(p->free == 0 && (p->fresh + 1u) * granules > PAGE_GRANULES)) class_unlink(s, index);
    s->used += granules * STORE_GRANULE;
    mem_account(granules * STORE_GRANULE);
    return handle;
}

void store_release(struct store *s, uint32_t handle)
{
    uint32_t index = page_of(handle);
    struct store_page *p = &s->pages[index];
    CHECK(p->serving && p->used > 0);
    size_t bytes = class_granules(p->class) * STORE_GRANULE;
    memcpy(store_at(s, handle), &p->free, sizeof(p->free));
    p->free = handle;
    p->used--;
    s->used -= bytes;
    mem_account(-(ptrdiff_t)bytes);
    if (!p->listed) class_append(s, index);
    /* The last page of a class stays: a lone record that comes and goes must not move a page to and fro. */
    if (p->used == 0 && s->classes[p->class].first != s->classes[p->class].last) retire(s, index);
}

size_t store_resident(const struct store *s)
{
    return (size_t)(s->page_count - s->released_count) * PAGE_BYTES;
}
