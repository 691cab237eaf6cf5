/* The format's small pieces, written through one buffer into a sink; the checksum is kept over whole buffers.
 *
 * Nothing here returns an error: once the sink has failed, `error` is set and the rest of the work is only thrown away,
 * so that callers ask once, at the end. Runs in the server (SAVE, DUMP) and in the snapshot child. */
#ifndef SLIPSTREAM_RDB_ENCODE_H
#define SLIPSTREAM_RDB_ENCODE_H

#include "rdb/writer.h"
#include "server/base/bytes.h"

struct rdb_encoder {
    uint8_t *buffer, *at, *end;
    rdb_sink sink;
    void *sink_context;
    uint64_t flushed_bytes; /* given to the sink */
    uint64_t crc;           /* of what the sink got */
    int error;              /* errno of the sink's failure, 0: none */
    bool compress, checksum;
    enum rdb_write_for write_for; /* set by whoever writes whole values, after init */
    uint8_t *packed;              /* where LZF packs a string */
    size_t packed_capacity;
};

void rdb_encoder_init(struct rdb_encoder *out, bool compress, bool checksum, rdb_sink sink, void *sink_context);
/* For one value instead of a file: with a small buffer. */
void rdb_encoder_init_small(struct rdb_encoder *out, bool compress, bool checksum, rdb_sink sink, void *sink_context);
void rdb_encoder_free(struct rdb_encoder *out); /* does not flush */
void rdb_flush(struct rdb_encoder *out);

static inline uint64_t rdb_encoder_bytes(const struct rdb_encoder *out)
{
    return out->flushed_bytes + (uint64_t)(out->at - out->buffer);
}

void rdb_put_raw(struct rdb_encoder *out, const void *data, size_t len);
void rdb_put_u8(struct rdb_encoder *out, uint8_t value);
void rdb_put_u64(struct rdb_encoder *out, uint64_t value); /* little-endian */
void rdb_put_length(struct rdb_encoder *out, uint64_t length);
void rdb_put_string(struct rdb_encoder *out, struct bytes string); /* as a number or packed where that is shorter */
void rdb_put_integer(struct rdb_encoder *out, int64_t value);      /* a string: the number's decimal text */
void rdb_put_checksum(struct rdb_encoder *out);                    /* flushes; zero without `checksum` */

#endif
