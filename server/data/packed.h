/* An element of a packed structure, as it stands there: an integer, or a slice of the structure's own bytes.
 *
 * Listpacks, ziplists and intsets keep text that is a canonical 64-bit integer as that integer. So the same element can
 * be asked for as text or as a number, and comparing two elements never needs their text: equal text has equal form. */
#ifndef SLIPSTREAM_DATA_PACKED_H
#define SLIPSTREAM_DATA_PACKED_H

#include "server/base/bytes.h"
#include "server/base/number.h"

/* Two words: it is passed and returned in registers. */
struct packed_value {
    const uint8_t *ptr; /* NULL: an integer */
    union {
        size_t len; /* of a string */
        int64_t integer;
    };
};

static inline struct packed_value packed_integer(int64_t integer)
{
    return (struct packed_value){.integer = integer};
}

static inline struct packed_value packed_string(const void *ptr, size_t len)
{
    return (struct packed_value){.ptr = (const uint8_t *)ptr, .len = len};
}

/* The form in which this text would be kept. An empty slice may have no address; the value's is never NULL. */
static inline struct packed_value packed_from(struct bytes text)
{
    int64_t integer;
    if (text.len == 0) return packed_string("", 0);
    bool may_be_integer = text.len < I64_TEXT_MAX && (text.ptr[0] == '-' || (text.ptr[0] >= '0' && text.ptr[0] <= '9'));
    if (may_be_integer && parse_i64(text, &integer) == 0) return packed_integer(integer);
    return packed_string(text.ptr, text.len);
}

static inline bool packed_equal(const struct packed_value *a, const struct packed_value *b)
{
    if (!a->ptr || !b->ptr) return !a->ptr && !b->ptr && a->integer == b->integer;
    return a->len == b->len && memcmp(a->ptr, b->ptr, a->len) == 0;
}

/* 0 for an integer, whatever its digits would take. */
static inline size_t packed_string_bytes(const struct packed_value *v)
{
    return v->ptr ? v->len : 0;
}

/* The element's text; an integer is formatted into scratch. */
static inline struct bytes packed_text(const struct packed_value *v, char scratch[I64_TEXT_MAX])
{
    return v->ptr ? bytes_make(v->ptr, v->len) : bytes_make(scratch, format_i64(scratch, v->integer));
}

#endif
