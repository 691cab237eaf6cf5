/* One value by itself: the payload that DUMP answers with, RESTORE takes and MIGRATE sends. Server process.
 *
 *   type(1) value version(2) checksum(8)      little-endian; the checksum is the CRC-64 of everything before it
 *
 * Type and value are as in a file (rdb/format.h); the version is the lowest that has the type. A payload of Valkey 9
 * has version 80, even around a plain string, which no Redis takes; it makes the type byte Valkey's. rdb-write-for
 * holds for payloads, too. */
#ifndef SLIPSTREAM_RDB_DUMP_H
#define SLIPSTREAM_RDB_DUMP_H

#include "rdb/format.h"
#include "rdb/type.h"

struct rdb_payload {
    uint8_t *data; /* mem; the caller frees it */
    size_t len;
};

#define RDB_PAYLOAD_FOOTER_BYTES (2 + RDB_CHECKSUM_BYTES) /* version and checksum */

/* A sink of the encoder; context: a struct rdb_payload, which grows. */
int rdb_payload_append(void *context, const uint8_t *data, size_t len);

/* Without data: the value has no form there (rdb/form.h). */
struct rdb_payload rdb_dump(const struct record *r, bool compress, enum rdb_write_for write_for);

unsigned rdb_payload_version(struct bytes payload); /* of one that has a footer */
/* A version that we know and, if it is to be checked, the right checksum. */
bool rdb_payload_intact(struct bytes payload, bool check_sum);

/* A value read from a payload and not yet stored; slices of the payload may be in it. */
struct rdb_restored {
    struct rdb_cursor in;
    struct rdb_builder builder;
    enum rdb_dialect dialect;
    unsigned version;         /* of the payload */
    ptrdiff_t counted_before; /* of this thread's memory: what the value takes is the difference */
};

/* Reads an intact payload, checking the value in depth; `sanitize`: refuses one with flaws that could be made good,
 * else out->in has them. false: it is broken, out->in.error says why ("": it ends too early, or has too much), and
 * there is nothing to give back. */
bool rdb_restore(struct bytes payload, bool sanitize, struct rdb_restored *out);
/* One of the two ends it: the value is stored under key, or dropped. */
struct record *rdb_restored_store(struct rdb_restored *restored, struct database *db, struct bytes key, uint64_t hash);
void rdb_restored_drop(struct rdb_restored *restored);

#endif
