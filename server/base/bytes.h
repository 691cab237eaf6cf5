/* A slice: a pointer and a length, owned by somebody else.
 *
 * Every part of every process passes text and binary data as `struct bytes`. A slice never owns; whoever wants to keep
 * the bytes past the call copies them. There is no terminating zero and no assumption of text. */
#ifndef SLIPSTREAM_BASE_BYTES_H
#define SLIPSTREAM_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *ptr;
    size_t len;
};

/* A slice over a string literal, its length known to the compiler. */
#define BYTES(literal) ((struct bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

static inline struct bytes bytes_make(const void *ptr, size_t len)
{
    return (struct bytes){(const uint8_t *)ptr, len};
}

static inline struct bytes bytes_from_text(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Byte order, the shorter first on a common prefix: what Redis calls lexicographic. <0, 0, >0. */
int bytes_compare(struct bytes a, struct bytes b);

/* ASCII alone, locale-free. */
static inline uint8_t byte_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* ASCII case-insensitive, locale-free. `text` is zero-terminated. */
bool bytes_equal_text(struct bytes a, const char *text);
bool bytes_equal_nocase(struct bytes a, const char *text);

/* Takes what stands before the next blank off the front, and the blank with it. */
struct bytes bytes_take_word(struct bytes *text);

/* A zero-terminated heap copy (mem_free it). Bytes after an inner zero stay in the copy but not in its strlen. */
char *bytes_to_text(struct bytes a);

#endif
