/* Reads an RDB: a pure push parser. The caller feeds bytes from a file, a socket, or an LZ4 frame, as they come.
 *
 * Reads versions 2 to 12. Nothing is trusted: every length is checked against what is there and against sanity before it is
 * allocated; every failure names the offset and what was found. Keys are inserted as they complete; the caller decides what
 * happens to a half-loaded keyspace (start-up refuses to start; a replica flushes and asks again). */
#ifndef SLIPSTREAM_RDB_READER_H
#define SLIPSTREAM_RDB_READER_H

#include "rdb/settings.h"
#include "rdb/writer.h"
#include "server/keyspace/keyspace.h"

struct rdb_reader;

enum rdb_status { RDB_MORE, RDB_DONE, RDB_BAD };

struct rdb_read_options {
    int64_t now_ms;
    bool drop_expired;   /* a master drops keys already expired; a replica keeps them for its master to delete */
    bool sanitize;       /* check packed structures in depth */
    bool verify_only;    /* parse and check everything, insert nothing (redis-check-rdb, a dry run before a flush) */
    int key_load_delay_us;
    void (*aux)(void *context, struct bytes name, struct bytes value); /* may be NULL */
    void (*function)(void *context, struct bytes code);                /* FUNCTION2 opcode; may be NULL: skipped with a log line */
    void *context;
};

struct rdb_read_result {
    int version;
    struct rdb_aux aux;
    uint64_t keys_loaded, keys_expired, keys_with_expiry;
    uint64_t bytes; /* of the RDB itself, checksum included */
};

struct rdb_reader *rdb_reader_new(struct keyspace *ks, const struct rdb_read_options *options);
void rdb_reader_free(struct rdb_reader *reader);
/* Consumes a prefix of input (*consumed) and says MORE (call again with the unconsumed rest and more behind it), DONE (the
 * checksum was right; bytes behind the end are not consumed) or BAD. Stops early with MORE after about max_keys records so
 * that the caller can run its loop in between; max_keys 0: no limit. */
enum rdb_status rdb_reader_feed(struct rdb_reader *reader, const uint8_t *input, size_t len, size_t max_keys, size_t *consumed);
const char *rdb_reader_error(const struct rdb_reader *reader); /* "at offset 123: ..." ; valid until free */
const struct rdb_read_result *rdb_reader_result(const struct rdb_reader *reader);

#endif
