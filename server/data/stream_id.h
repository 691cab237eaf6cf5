/* A stream entry's id: milliseconds and a number within them; ordered as one number of 128 bits. */
#ifndef SLIPSTREAM_DATA_STREAM_ID_H
#define SLIPSTREAM_DATA_STREAM_ID_H

#include <endian.h>

#include "server/base/bytes.h"
#include "server/base/number.h"

struct stream_id {
    uint64_t ms, seq;
};

#define STREAM_ID_KEY_BYTES 16
#define STREAM_ID_TEXT_MAX  (2 * I64_TEXT_MAX + 1)
#define STREAM_ID_LEAST     ((struct stream_id){0, 0})
#define STREAM_ID_MOST      ((struct stream_id){UINT64_MAX, UINT64_MAX})

static inline int stream_id_compare(struct stream_id a, struct stream_id b)
{
    if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}

static inline bool stream_id_is_zero(struct stream_id id)
{
    return !id.ms && !id.seq;
}

/* To the next or the previous id; false: there is none, and it went around to the other end. */
static inline bool stream_id_increment(struct stream_id *id)
{
    return ++id->seq != 0 || ++id->ms != 0;
}

static inline bool stream_id_decrement(struct stream_id *id)
{
    return id->seq-- != 0 || id->ms-- != 0;
}

/* As trees and files hold it: big-endian, so that byte order is its order. */
static inline struct bytes stream_id_key(struct stream_id id, uint8_t key[STREAM_ID_KEY_BYTES])
{
    uint64_t ms = htobe64(id.ms), seq = htobe64(id.seq);
    memcpy(key, &ms, sizeof ms);
    memcpy(key + sizeof ms, &seq, sizeof seq);
    return bytes_make(key, STREAM_ID_KEY_BYTES);
}

static inline struct stream_id stream_id_of_key(const uint8_t *key)
{
    uint64_t ms, seq;
    memcpy(&ms, key, sizeof ms);
    memcpy(&seq, key + sizeof ms, sizeof seq);
    return (struct stream_id){be64toh(ms), be64toh(seq)};
}

/* "ms-seq"; returns the length. */
static inline size_t stream_id_format(char out[STREAM_ID_TEXT_MAX], struct stream_id id)
{
    size_t len = format_u64(out, id.ms);
    out[len++] = '-';
    return len + format_u64(out + len, id.seq);
}

#endif
