/* The format's small pieces, read; every byte here may be hostile. Server process and checker. */
#include "rdb/decode.h"

#include <endian.h>
#include <errno.h>
#include <liblzf/lzf.h>
#include <stdarg.h>
#include <stdio.h>

#include "rdb/format.h"
#include "server/base/alloc.h"
#include "server/keyspace/free_aside.h"
#include "server/base/check.h"
#include "server/base/number.h"

/* Three bytes of LZF stand for at most 264: whoever claims more would only make us allocate it. */
#define LZF_MOST_GROWTH 88

#define ARENA_CHUNK_BYTES ((size_t)64 * 1024)

struct rdb_arena_chunk {
    struct rdb_arena_chunk *next;
    size_t capacity, used;
    uint8_t data[];
};

static uint8_t *arena_take(struct rdb_cursor *in, size_t n)
{
    struct rdb_arena_chunk *chunk = in->arena;
    if (!chunk || chunk->capacity - chunk->used < n) {
        size_t capacity = n > ARENA_CHUNK_BYTES ? n : ARENA_CHUNK_BYTES;
        chunk = mem_try_alloc(sizeof *chunk + capacity);
        if (!chunk) return NULL;
        chunk->next = in->arena;
        chunk->capacity = capacity;
        chunk->used = 0;
        in->arena = chunk;
    }
    uint8_t *room = chunk->data + chunk->used;
    chunk->used += n;
    in->arena_bytes += n;
    return room;
}

void rdb_arena_clear(struct rdb_cursor *in)
{
    if (in->arena_bytes == 0) return;
    struct rdb_arena_chunk *kept = NULL;
    for (struct rdb_arena_chunk *chunk = in->arena, *next; chunk; chunk = next) {
        next = chunk->next;
        if (!kept && chunk->capacity == ARENA_CHUNK_BYTES) {
            kept = chunk;
        } else {
            free_aside_memory(chunk);
        }
    }
    if (kept) {
        kept->next = NULL;
        kept->used = 0;
    }
    in->arena = kept;
    in->arena_bytes = 0;
}

void rdb_arena_release(struct rdb_cursor *in)
{
    rdb_arena_clear(in);
    free_aside_memory(in->arena);
    in->arena = NULL;
}

bool rdb_bad(struct rdb_cursor *in, uint64_t offset, const char *format, ...)
{
    if (in->bad) return false;
    in->bad = true;
    in->error_offset = offset;
    va_list args;
    va_start(args, format);
    vsnprintf(in->error, sizeof in->error, format, args);
    va_end(args);
    return false;
}

static bool note_flaw(struct rdb_cursor *in, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static bool note_flaw(struct rdb_cursor *in, const char *format, va_list args)
{
    if (in->flaws++ == 0) vsnprintf(in->first_flaw, sizeof in->first_flaw, format, args);
    return true;
}

bool rdb_mended(struct rdb_cursor *in, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note_flaw(in, format, args);
    va_end(args);
    return true;
}

bool rdb_flaw(struct rdb_cursor *in, uint64_t offset, const char *format, ...)
{
    char what[sizeof in->error];
    va_list args;
    va_start(args, format);
    if (in->sanitize)
        vsnprintf(what, sizeof what, format, args);
    else
        note_flaw(in, format, args);
    va_end(args);
    return !in->sanitize || rdb_bad(in, offset, "%s", what);
}

bool rdb_read_u8(struct rdb_cursor *in, uint8_t *out)
{
    const uint8_t *p = rdb_take(in, 1);
    if (!p) return false;
    *out = *p;
    return true;
}

bool rdb_read_u32(struct rdb_cursor *in, uint32_t *out)
{
    const uint8_t *p = rdb_take(in, sizeof *out);
    if (!p) return false;
    memcpy(out, p, sizeof *out);
    *out = le32toh(*out);
    return true;
}

bool rdb_read_u64(struct rdb_cursor *in, uint64_t *out)
{
    const uint8_t *p = rdb_take(in, sizeof *out);
    if (!p) return false;
    memcpy(out, p, sizeof *out);
    *out = le64toh(*out);
    return true;
}

/* The forms behind a first byte that is neither a 6-bit length nor an encoding. */
static bool read_wide_length(struct rdb_cursor *in, uint8_t first, uint64_t *out)
{
    if ((first & RDB_LENGTH_FORM) == RDB_LENGTH_14_BITS) {
        const uint8_t *low = rdb_take(in, 1);
        if (!low) return false;
        *out = (uint64_t)(first & 0x3f) << 8 | *low;
        return true;
    }
    if (first == RDB_LENGTH_32_BITS) {
        uint32_t wide;
        const uint8_t *p = rdb_take(in, sizeof wide);
        if (!p) return false;
        memcpy(&wide, p, sizeof wide);
        *out = be32toh(wide);
        return true;
    }
    if (first == RDB_LENGTH_64_BITS) {
        uint64_t wide;
        const uint8_t *p = rdb_take(in, sizeof wide);
        if (!p) return false;
        memcpy(&wide, p, sizeof wide);
        *out = be64toh(wide);
        return true;
    }
    return rdb_bad(in, rdb_cursor_offset(in) - 1, "byte 0x%02x is no length", first);
}

bool rdb_read_length(struct rdb_cursor *in, uint64_t *out)
{
    const uint8_t *first = rdb_take(in, 1);
    if (!first) return false;
    if ((*first & RDB_LENGTH_FORM) == RDB_LENGTH_6_BITS) {
        *out = *first;
        return true;
    }
    if ((*first & RDB_LENGTH_FORM) == RDB_LENGTH_ENCODED) {
        return rdb_bad(in, rdb_cursor_offset(in) - 1, "a length was expected, found string encoding 0x%02x", *first);
    }
    return read_wide_length(in, *first, out);
}

static bool read_integer(struct rdb_cursor *in, size_t size, struct rdb_string *out)
{
    const uint8_t *p = rdb_take(in, size);
    if (!p) return false;
    uint32_t raw = 0;
    for (size_t i = 0; i < size; i++) raw |= (uint32_t)p[i] << (8 * i);
    out->is_integer = true;
    out->integer = size == 1 ? (int8_t)raw : size == 2 ? (int16_t)raw : (int32_t)raw;
    return true;
}

static bool read_lzf(struct rdb_cursor *in, uint64_t offset, struct rdb_string *out)
{
    uint64_t packed_len, len;
    if (!rdb_read_length(in, &packed_len) || !rdb_read_length(in, &len)) return false;
    if (packed_len == 0 || len == 0 || packed_len > RDB_STRING_MAX_BYTES || len > RDB_STRING_MAX_BYTES ||
        len / LZF_MOST_GROWTH > packed_len) {
        return rdb_bad(in, offset, "LZF string: %llu bytes cannot unpack to %llu", (unsigned long long)packed_len,
                       (unsigned long long)len);
    }
    const uint8_t *packed = rdb_take(in, packed_len);
    if (!packed) return false;
    uint8_t *room = arena_take(in, len);
    if (!room) return rdb_bad(in, offset, "no memory to unpack a string of %llu bytes", (unsigned long long)len);
    if (lzf_decompress(packed, (unsigned)packed_len, room, (unsigned)len) != len) {
        return rdb_bad(in, offset, "Invalid LZF compressed string: %llu bytes do not unpack to %llu",
                       (unsigned long long)packed_len, (unsigned long long)len);
    }
    out->is_integer = false;
    out->bytes = bytes_make(room, len);
    return true;
}

static bool read_encoded(struct rdb_cursor *in, uint8_t first, struct rdb_string *out)
{
    uint64_t offset = rdb_cursor_offset(in) - 1;
    switch (first & ~RDB_LENGTH_FORM) {
    case RDB_ENCODING_INT8: return read_integer(in, 1, out);
    case RDB_ENCODING_INT16: return read_integer(in, 2, out);
    case RDB_ENCODING_INT32: return read_integer(in, 4, out);
    case RDB_ENCODING_LZF: return read_lzf(in, offset, out);
    default: return rdb_bad(in, offset, "Unknown RDB string encoding type %d", first & ~RDB_LENGTH_FORM);
    }
}

bool rdb_read_string(struct rdb_cursor *in, struct rdb_string *out)
{
    const uint8_t *first = rdb_take(in, 1);
    if (!first) return false;
    uint64_t len = *first;
    if (unlikely(*first & RDB_LENGTH_FORM)) {
        if ((*first & RDB_LENGTH_FORM) == RDB_LENGTH_ENCODED) return read_encoded(in, *first, out);
        uint64_t offset = rdb_cursor_offset(in) - 1;
        if (!read_wide_length(in, *first, &len)) return false;
        if (len > RDB_STRING_MAX_BYTES) {
            return rdb_bad(in, offset, "a string of %llu bytes is longer than any can be", (unsigned long long)len);
        }
    }
    const uint8_t *data = rdb_take(in, len);
    if (!data) return false;
    out->is_integer = false;
    out->bytes = bytes_make(data, len);
    return true;
}

bool rdb_read_bytes(struct rdb_cursor *in, struct bytes *out)
{
    struct rdb_string string;
    if (!rdb_read_string(in, &string)) return false;
    if (string.is_integer) {
        char text[I64_TEXT_MAX];
        size_t len = format_i64(text, string.integer);
        uint8_t *room = arena_take(in, len);
        if (!room) return rdb_bad(in, rdb_cursor_offset(in), "no memory");
        memcpy(room, text, len);
        string.bytes = bytes_make(room, len);
    }
    *out = string.bytes;
    return true;
}
