/* Ziplist. Server process (loading, RESTORE) and checker; every byte here may be hostile. */
#include "server/data/ziplist.h"

#include <endian.h>

#include "server/base/alloc.h"
#include "server/data/listpack.h"

#define HEADER_BYTES  10
#define END           0xff
#define LONG_PREVIOUS 0xfe
#define COUNT_UNKNOWN 65535

struct element {
    size_t previous; /* length of the element before, as this one says */
    struct packed_value value;
};

static uint32_t read_u32(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return le32toh(value);
}

static int64_t read_integer(const uint8_t *p, unsigned bytes)
{
    uint64_t raw = 0;
    memcpy(&raw, p, bytes);
    unsigned unused_bits = 64 - bytes * 8;
    return (int64_t)(le64toh(raw) << unused_bits) >> unused_bits;
}

/* How many bytes the integer behind this head takes; -1: no such head. */
static int integer_bytes(uint8_t head)
{
    switch (head) {
    case 0xc0: return 2;
    case 0xd0: return 4;
    case 0xe0: return 8;
    case 0xf0: return 3;
    case 0xfe: return 1;
    default: return head >= 0xf1 && head <= 0xfd ? 0 : -1;
    }
}

static const uint8_t *read_string(const uint8_t *p, const uint8_t *end, struct packed_value *out)
{
    size_t room = (size_t)(end - p), head = 1, len = p[0] & 63;
    if (p[0] >> 6 == 1) {
        if (room < 2) return NULL;
        len = len << 8 | p[1];
        head = 2;
    } else if (p[0] >> 6 == 2) {
        if (room < 5 || p[0] != 0x80) return NULL;
        len = __builtin_bswap32(read_u32(p + 1));
        head = 5;
    }
    if (room - head < len) return NULL;
    *out = packed_from(bytes_make(p + head, len)); /* text that is a number is kept as one in a listpack */
    return p + head + len;
}

/* The address behind the element at p, which lies before end; NULL: it is none. */
static const uint8_t *read_element(const uint8_t *p, const uint8_t *end, struct element *out)
{
    out->previous = *p++;
    if (out->previous == LONG_PREVIOUS) {
        if (end - p < 4) return NULL;
        out->previous = read_u32(p);
        p += 4;
    } else if (out->previous == END) {
        return NULL;
    }
    if (p >= end) return NULL;
    if (p[0] < 0xc0) return read_string(p, end, &out->value);
    int bytes = integer_bytes(p[0]);
    if (bytes < 0 || end - p - 1 < bytes) return NULL;
    out->value = packed_integer(bytes ? read_integer(p + 1, (unsigned)bytes) : (p[0] & 15) - 1);
    return p + 1 + bytes;
}

bool ziplist_walk(struct bytes bytes, bool (*visit)(void *context, struct packed_value value), void *context)
{
    if (bytes.len < HEADER_BYTES + 1 || read_u32(bytes.ptr) != bytes.len || bytes.ptr[bytes.len - 1] != END)
        return false;
    const uint8_t *end = bytes.ptr + bytes.len - 1, *p = bytes.ptr + HEADER_BYTES, *last = p;
    size_t count = 0, previous = 0, stored_count = (size_t)bytes.ptr[8] | (size_t)bytes.ptr[9] << 8;
    for (; p < end; count++) {
        struct element e;
        const uint8_t *next = read_element(p, end, &e);
        if (!next || e.previous != previous || !visit(context, e.value)) return false;
        previous = (size_t)(next - p);
        last = p;
        p = next;
    }
    if (read_u32(bytes.ptr + 4) != (size_t)(last - bytes.ptr)) return false;
    return stored_count == COUNT_UNKNOWN || stored_count == count;
}
