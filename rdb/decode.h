/* The format's small pieces (lengths, strings, numbers), read out of a window of bytes. Reader and types stand on it.
 *
 * A window may end anywhere, so every function returns false for two reasons: the piece is not all there yet (the
 * caller goes back to the start of what it wanted and comes again with more), or the bytes are wrong (`bad` is set and
 * `error` says why). Nothing is copied unless it has to be unpacked; what is unpacked lives in the arena until it is
 * cleared. */
#ifndef SLIPSTREAM_RDB_DECODE_H
#define SLIPSTREAM_RDB_DECODE_H

#include "server/base/bytes.h"

struct rdb_arena_chunk;

struct rdb_cursor {
    const uint8_t *window, *at, *end;
    uint64_t window_offset; /* of window[0] in the RDB */
    size_t wanted_bytes;    /* the window's least length that lets the piece that was cut off be read */
    bool bad;
    uint64_t error_offset;
    char error[240];
    bool sanitize;       /* a value with a flaw is refused, else mended where that is safe; see rdb_flaw() */
    unsigned flaws;      /* mended in the value that is being read */
    char first_flaw[96]; /* in words, when there are any */
    struct rdb_arena_chunk *arena;
    size_t arena_bytes;
    uint64_t payloads_checked; /* packed values that were walked through in depth */
};

/* A string as it stands in the file: bytes, or a number whose decimal text it is. */
struct rdb_string {
    bool is_integer;
    int64_t integer;
    struct bytes bytes; /* into the window or the arena */
};

static inline uint64_t rdb_cursor_offset(const struct rdb_cursor *in)
{
    return in->window_offset + (uint64_t)(in->at - in->window);
}

/* n bytes, passed over; NULL when they are not all there. */
static inline const uint8_t *rdb_take(struct rdb_cursor *in, size_t n)
{
    if ((size_t)(in->end - in->at) < n) {
        in->wanted_bytes = (size_t)(in->at - in->window) + n;
        return NULL;
    }
    in->at += n;
    return in->at - n;
}

/* Declares the bytes at `offset` wrong, in words. Returns false, for callers to return. The first reason stays. */
bool rdb_bad(struct rdb_cursor *in, uint64_t offset, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Tells what has been made good of a value: a number that was wrong and follows from the others. Returns true. */
bool rdb_mended(struct rdb_cursor *in, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A flaw that the caller can make good, or leave out what has it: true: do so. With `sanitize` it is as rdb_bad. */
bool rdb_flaw(struct rdb_cursor *in, uint64_t offset, const char *format, ...) __attribute__((format(printf, 3, 4)));

bool rdb_read_u8(struct rdb_cursor *in, uint8_t *out);
bool rdb_read_u32(struct rdb_cursor *in, uint32_t *out); /* little-endian */
bool rdb_read_u64(struct rdb_cursor *in, uint64_t *out); /* little-endian */
bool rdb_read_length(struct rdb_cursor *in, uint64_t *out);
bool rdb_read_string(struct rdb_cursor *in, struct rdb_string *out);
bool rdb_read_bytes(struct rdb_cursor *in, struct bytes *out); /* a string; a number is given as its text */

void rdb_arena_clear(struct rdb_cursor *in);   /* invalidates what was unpacked; keeps one chunk for the next */
void rdb_arena_release(struct rdb_cursor *in); /* gives everything back */

#endif
