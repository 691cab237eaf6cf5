/* Zipmap. Server process (loading, RESTORE) and checker; every byte here may be hostile. */
#include "server/data/zipmap.h"

#include <endian.h>

#define END           0xff
#define LONG_LENGTH   0xfe
#define COUNT_UNKNOWN 0xfe

/* A length and `extra` bytes behind it, then so many bytes; the address of those, NULL when they do not fit. */
static const uint8_t *read_piece(const uint8_t *p, const uint8_t *end, size_t extra, size_t *len)
{
    if (p >= end || *p == END) return NULL;
    *len = *p++;
    if (*len == LONG_LENGTH) {
        uint32_t wide;
        if (end - p < (ptrdiff_t)sizeof wide) return NULL;
        memcpy(&wide, p, sizeof wide);
        *len = le32toh(wide);
        p += sizeof wide;
    }
    if ((size_t)(end - p) < extra || (size_t)(end - p) - extra < *len) return NULL;
    return p + extra;
}

bool zipmap_walk(struct bytes bytes, bool (*visit)(void *context, struct bytes field, struct bytes value),
                 void *context)
{
    if (bytes.len < 2 || bytes.ptr[bytes.len - 1] != END) return false;
    const uint8_t *p = bytes.ptr + 1, *end = bytes.ptr + bytes.len - 1;
    size_t count = 0;
    for (; p < end; count++) {
        struct bytes field, value;
        if (!(field.ptr = read_piece(p, end, 0, &field.len))) return false;
        if (!(value.ptr = read_piece(field.ptr + field.len, end, 1, &value.len))) return false;
        size_t spare = value.ptr[-1];
        p = value.ptr + value.len;
        if ((size_t)(end - p) < spare || !visit(context, field, value)) return false;
        p += spare;
    }
    return bytes.ptr[0] >= COUNT_UNKNOWN || bytes.ptr[0] == count;
}
