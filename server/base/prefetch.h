/* Asking the memory for lines that will be needed soon. Any process. A hint: nothing is read, no address is wrong. */
#ifndef SLIPSTREAM_BASE_PREFETCH_H
#define SLIPSTREAM_BASE_PREFETCH_H

#include <stddef.h>

#define CACHE_LINE_BYTES 64

static inline void prefetch_bytes(const void *start, size_t len)
{
    for (size_t at = 0; at < len; at += CACHE_LINE_BYTES) __builtin_prefetch((const char *)start + at);
}

/* For lines that another processor has read meanwhile: takes them away from it. For x86 the compiler has this only
 * where it is told of processors that know it; the others take the instruction for nothing. */
static inline void prefetch_bytes_to_write(void *start, size_t len)
{
    for (size_t at = 0; at < len; at += CACHE_LINE_BYTES) {
#ifdef __x86_64__
        __asm__ volatile("prefetchw %0" : : "m"(*((char *)start + at)));
#else
        __builtin_prefetch((char *)start + at, 1);
#endif
    }
}

#endif
