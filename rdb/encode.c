/* The format's small pieces, written. Server process and snapshot child. */
#include "rdb/encode.h"

#include <endian.h>
#include <errno.h>
#include <liblzf/lzf.h>

#include "rdb/format.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/crc64.h"
#include "server/base/number.h"

/* Large enough that a sink's system call costs nothing per key, small enough to be still in the cache when the checksum
 * and the kernel's copy pass over it. */
#define BUFFER_BYTES ((size_t)256 * 1024)
/* One value by itself is mostly small. */
#define SMALL_BUFFER_BYTES ((size_t)4 * 1024)
/* Strings as long as this part of the buffer go to the sink from where they lie. */
#define DIRECT_SHARE 4
/* Room that any piece of fixed size fits in. */
#define PIECE_BYTES 32
/* Shorter strings are not worth packing; four bytes must be gained. As in Redis. */
#define LZF_LEAST_BYTES 21
#define LZF_LEAST_GAIN  4
/* No text of a 32-bit number is longer. */
#define INT32_TEXT_BYTES 11

static void init(struct rdb_encoder *out, size_t buffer_bytes, bool compress, bool checksum, rdb_sink sink,
                 void *sink_context)
{
    *out = (struct rdb_encoder){
        .buffer = mem_alloc(buffer_bytes),
        .sink = sink,
        .sink_context = sink_context,
        .compress = compress,
        .checksum = checksum,
    };
    out->at = out->buffer;
    out->end = out->buffer + buffer_bytes;
}

void rdb_encoder_init(struct rdb_encoder *out, bool compress, bool checksum, rdb_sink sink, void *sink_context)
{
    init(out, BUFFER_BYTES, compress, checksum, sink, sink_context);
}

void rdb_encoder_init_small(struct rdb_encoder *out, bool compress, bool checksum, rdb_sink sink, void *sink_context)
{
    init(out, SMALL_BUFFER_BYTES, compress, checksum, sink, sink_context);
}

void rdb_encoder_free(struct rdb_encoder *out)
{
    mem_free(out->buffer);
    mem_free(out->packed);
    *out = (struct rdb_encoder){0};
}

static void give(struct rdb_encoder *out, const uint8_t *data, size_t len)
{
    if (out->error || len == 0) return;
    if (out->checksum) out->crc = crc64(out->crc, data, len);
    if (out->sink(out->sink_context, data, len) != 0) {
        out->error = errno ? errno : EIO;
        return;
    }
    out->flushed_bytes += len;
}

void rdb_flush(struct rdb_encoder *out)
{
    give(out, out->buffer, (size_t)(out->at - out->buffer));
    out->at = out->buffer;
}

/* Room for n more bytes, which are no more than the buffer. */
static inline uint8_t *reserve(struct rdb_encoder *out, size_t n)
{
    if (unlikely((size_t)(out->end - out->at) < n)) rdb_flush(out);
    return out->at;
}

void rdb_put_raw(struct rdb_encoder *out, const void *data, size_t len)
{
    if (unlikely(len >= (size_t)(out->end - out->buffer) / DIRECT_SHARE)) {
        rdb_flush(out);
        give(out, data, len);
        return;
    }
    if (len == 0) return;
    memcpy(reserve(out, len), data, len);
    out->at += len;
}

void rdb_put_u8(struct rdb_encoder *out, uint8_t value)
{
    *reserve(out, 1) = value;
    out->at++;
}

void rdb_put_u64(struct rdb_encoder *out, uint64_t value)
{
    value = htole64(value);
    memcpy(reserve(out, sizeof value), &value, sizeof value);
    out->at += sizeof value;
}

void rdb_put_length(struct rdb_encoder *out, uint64_t length)
{
    uint8_t *p = reserve(out, PIECE_BYTES);
    if (length < 1 << 6) {
        *p++ = RDB_LENGTH_6_BITS | (uint8_t)length;
    } else if (length < 1 << 14) {
        *p++ = RDB_LENGTH_14_BITS | (uint8_t)(length >> 8);
        *p++ = (uint8_t)length;
    } else if (length <= UINT32_MAX) {
        uint32_t wide = htobe32((uint32_t)length);
        *p++ = RDB_LENGTH_32_BITS;
        memcpy(p, &wide, sizeof wide);
        p += sizeof wide;
    } else {
        uint64_t wide = htobe64(length);
        *p++ = RDB_LENGTH_64_BITS;
        memcpy(p, &wide, sizeof wide);
        p += sizeof wide;
    }
    out->at = p;
}

/* False when the number needs more than 32 bits: its text is shorter than any encoding that every reader knows. */
static bool put_small_integer(struct rdb_encoder *out, int64_t value)
{
    if (value < INT32_MIN || value > INT32_MAX) return false;
    uint8_t *p = reserve(out, PIECE_BYTES);
    size_t size;
    if (value >= INT8_MIN && value <= INT8_MAX) {
        *p++ = RDB_LENGTH_ENCODED | RDB_ENCODING_INT8;
        size = 1;
    } else if (value >= INT16_MIN && value <= INT16_MAX) {
        *p++ = RDB_LENGTH_ENCODED | RDB_ENCODING_INT16;
        size = 2;
    } else {
        *p++ = RDB_LENGTH_ENCODED | RDB_ENCODING_INT32;
        size = 4;
    }
    for (size_t i = 0; i < size; i++) *p++ = (uint8_t)((uint64_t)value >> (8 * i));
    out->at = p;
    return true;
}

void rdb_put_integer(struct rdb_encoder *out, int64_t value)
{
    if (put_small_integer(out, value)) return;
    char text[I64_TEXT_MAX];
    size_t len = format_i64(text, value);
    rdb_put_length(out, len);
    rdb_put_raw(out, text, len);
}

static bool put_packed(struct rdb_encoder *out, struct bytes string)
{
    if (string.len > RDB_STRING_MAX_BYTES) return false;
    size_t room = string.len - LZF_LEAST_GAIN;
    if (out->packed_capacity < room) {
        uint8_t *larger = mem_try_alloc(room);
        if (!larger) return false; /* then it is written as it is */
        mem_free(out->packed);
        out->packed = larger;
        out->packed_capacity = mem_size(larger);
    }
    unsigned packed_len = lzf_compress(string.ptr, (unsigned)string.len, out->packed, (unsigned)room);
    if (packed_len == 0) return false;
    rdb_put_u8(out, RDB_LENGTH_ENCODED | RDB_ENCODING_LZF);
    rdb_put_length(out, packed_len);
    rdb_put_length(out, string.len);
    rdb_put_raw(out, out->packed, packed_len);
    return true;
}

void rdb_put_string(struct rdb_encoder *out, struct bytes string)
{
    if (string.len <= INT32_TEXT_BYTES) {
        int64_t value;
        if (string.len > 0 && string.ptr[0] <= '9' && parse_i64(string, &value) == 0 && put_small_integer(out, value)) {
            return;
        }
    } else if (out->compress && string.len >= LZF_LEAST_BYTES && put_packed(out, string)) {
        return;
    }
    rdb_put_length(out, string.len);
    rdb_put_raw(out, string.ptr, string.len);
}

void rdb_put_checksum(struct rdb_encoder *out)
{
    rdb_flush(out);
    rdb_put_u64(out, out->checksum ? out->crc : 0);
    rdb_flush(out);
}
