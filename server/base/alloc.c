/* The counted heap. Any process.
 *
 * Each thread adds to a counter of its own, on its own cache line, with plain loads and stores; a sum over all of them
 * is exact whenever the other threads rest and never far off when they do not. A block may be freed by another thread
 * than the one that asked for it: single counters may go below zero, the sum does not. Threads come and go while the
 * counters stay, so an ended thread's slot is taken over with its count.
 *
 * The plain malloc names resolve to jemalloc at link time. Under the address sanitizer that is the sanitizer's heap
 * instead, and jemalloc's own calls are left out. */
#include "server/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <jemalloc/jemalloc.h>
#endif

#include "server/base/check.h"
#include "server/base/log.h"

#define COUNTER_SLOTS 256 /* threads alive at once: I/O threads are 127 at most, the others a handful */

struct mem_counter {
    _Alignas(64) _Atomic ptrdiff_t bytes; /* written by the slot's thread alone */
    atomic_bool taken;
};

static struct mem_counter counters[COUNTER_SLOTS];
static _Atomic size_t counters_used; /* of the slots, from the first on: those that ever had a thread */
static _Thread_local struct mem_counter *my_counter;
static _Atomic size_t peak;
static pthread_key_t thread_end_key;
static pthread_once_t thread_end_once = PTHREAD_ONCE_INIT;

static void release_counter(void *slot)
{
    struct mem_counter *c = slot;
    my_counter = NULL;
    atomic_store_explicit(&c->taken, false, memory_order_release);
}

static void create_thread_end_key(void)
{
    CHECK(pthread_key_create(&thread_end_key, release_counter) == 0);
}

static struct mem_counter *claim_counter(void)
{
    pthread_once(&thread_end_once, create_thread_end_key);
    for (size_t i = 0; i < COUNTER_SLOTS; i++) {
        bool expected = false;
        if (!atomic_compare_exchange_strong(&counters[i].taken, &expected, true)) continue;
        my_counter = &counters[i];
        for (size_t used = atomic_load(&counters_used); used <= i;)
            if (atomic_compare_exchange_weak(&counters_used, &used, i + 1)) break;
        CHECK(pthread_setspecific(thread_end_key, my_counter) == 0);
        return my_counter;
    }
    UNREACHABLE();
}

static inline void add_to_count(ptrdiff_t delta)
{
    struct mem_counter *c = likely(my_counter != NULL) ? my_counter : claim_counter();
    ptrdiff_t now = atomic_load_explicit(&c->bytes, memory_order_relaxed);
    atomic_store_explicit(&c->bytes, now + delta, memory_order_relaxed);
}

static _Noreturn void out_of_memory(size_t bytes)
{
    log_warning("Out Of Memory allocating %zu bytes!", bytes);
    PANIC("Redis aborting for OUT OF MEMORY. Allocating %zu bytes!", bytes);
}

static inline void *counted(void *ptr, size_t size)
{
    if (unlikely(!ptr)) out_of_memory(size);
    add_to_count((ptrdiff_t)malloc_usable_size(ptr));
    return ptr;
}

void *mem_alloc(size_t size)
{
    return counted(malloc(size), size);
}

void *mem_calloc(size_t count, size_t size)
{
    return counted(calloc(count, size), count * size);
}

void *mem_realloc(void *ptr, size_t size)
{
    ptrdiff_t before = (ptrdiff_t)malloc_usable_size(ptr);
    void *grown = realloc(ptr, size ? size : 1); /* realloc to nothing would free */
    if (unlikely(!grown)) out_of_memory(size);
    add_to_count((ptrdiff_t)malloc_usable_size(grown) - before);
    return grown;
}

void *mem_try_alloc(size_t size)
{
    void *ptr = malloc(size);
    return ptr ? counted(ptr, size) : NULL;
}

void mem_free(void *ptr)
{
    if (!ptr) return;
    add_to_count(-(ptrdiff_t)malloc_usable_size(ptr));
    free(ptr);
}

char *mem_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(mem_alloc(size), text, size);
}

size_t mem_size(const void *ptr)
{
    return malloc_usable_size((void *)(uintptr_t)ptr);
}

size_t mem_used(void)
{
    ptrdiff_t sum = 0;
    size_t used = atomic_load_explicit(&counters_used, memory_order_acquire);
    for (size_t i = 0; i < used; i++) sum += atomic_load_explicit(&counters[i].bytes, memory_order_relaxed);
    return sum > 0 ? (size_t)sum : 0;
}

size_t mem_peak(void)
{
    return atomic_load_explicit(&peak, memory_order_relaxed);
}

void mem_note_peak(void)
{
    size_t used = mem_used();
    if (used > mem_peak()) atomic_store_explicit(&peak, used, memory_order_relaxed);
}

void mem_account(ptrdiff_t delta)
{
    add_to_count(delta);
}

const struct mem_counter *mem_my_counter(void)
{
    return my_counter ? my_counter : claim_counter();
}

ptrdiff_t mem_counter_bytes(const struct mem_counter *c)
{
    return atomic_load_explicit(&c->bytes, memory_order_relaxed);
}

/* Pages: resident, and of those the shared ones. */
static void read_pages(const char *path, size_t *resident, size_t *shared)
{
    char text[128];
    *resident = *shared = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    sscanf(text, "%*u %zu %zu", resident, shared);
}

size_t mem_resident(void)
{
    size_t resident, shared;
    read_pages("/proc/self/statm", &resident, &shared);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

size_t mem_resident_alone(int pid)
{
    char path[32];
    size_t resident, shared;
    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    read_pages(path, &resident, &shared);
    return resident > shared ? (resident - shared) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

/* Read by the sanitizer's runtime: mem_try_alloc's refusals are not faults. */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

void mem_allocator_info(struct mem_allocator_info *out)
{
    out->allocated = out->active = mem_used();
    out->resident = mem_resident();
}

const char *mem_allocator_name(void)
{
    return "libc";
}

int mem_purge(void)
{
    return 0;
}

int mem_control(const char *name, int64_t *value, const int64_t *wanted)
{
    (void)name, (void)value, (void)wanted;
    errno = ENOENT;
    return -1;
}

int mem_control_text(const char *name, const char **value, const char *wanted)
{
    (void)name, (void)value, (void)wanted;
    errno = ENOENT;
    return -1;
}

void mem_report(void (*write)(void *context, const char *text), void *context)
{
    write(context, "Stats not supported for the current allocator");
}

#else

static size_t jemalloc_stat(const char *name)
{
    size_t value = 0, size = sizeof(value);
    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

void mem_allocator_info(struct mem_allocator_info *out)
{
    uint64_t epoch = 1; /* jemalloc's figures stand still until the epoch is advanced */
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    out->allocated = jemalloc_stat("stats.allocated");
    out->active = jemalloc_stat("stats.active");
    out->resident = jemalloc_stat("stats.resident");
}

/* A name's width is known to the allocator alone, which refuses every other. */
int mem_control(const char *name, int64_t *value, const int64_t *wanted)
{
    static const size_t widths[] = {sizeof(uint64_t), sizeof(uint32_t), sizeof(bool)};
    int error = EINVAL;
    for (size_t i = 0; i < sizeof widths / sizeof *widths && error == EINVAL; i++) {
        uint64_t old = 0, new = wanted ? (uint64_t)*wanted : 0; /* little endian: the low bytes come first */
        size_t width = widths[i];
        error = mallctl(name, &old, &width, wanted ? &new : NULL, wanted ? width : 0);
        *value = (int64_t)old;
    }
    errno = error;
    return error ? -1 : 0;
}

int mem_control_text(const char *name, const char **value, const char *wanted)
{
    size_t width = sizeof *value;
    int error;
    if (wanted && strcmp(wanted, "VOID") == 0)
        error = mallctl(name, NULL, NULL, NULL, 0);
    else
        error = mallctl(name, value, &width, wanted ? &wanted : NULL, wanted ? sizeof wanted : 0);
    errno = error;
    return error ? -1 : 0;
}

int mem_purge(void)
{
    char name[64];
    snprintf(name, sizeof(name), "arena.%u.purge", MALLCTL_ARENAS_ALL);
    return mallctl(name, NULL, NULL, NULL, 0) == 0 ? 0 : -1;
}

void mem_report(void (*write)(void *context, const char *text), void *context)
{
    malloc_stats_print(write, context, NULL);
}

#define TEXT_OF(x)       #x
#define VERSION(a, b, c) "jemalloc-" TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)

const char *mem_allocator_name(void)
{
    return VERSION(JEMALLOC_VERSION_MAJOR, JEMALLOC_VERSION_MINOR, JEMALLOC_VERSION_BUGFIX);
}

#endif
