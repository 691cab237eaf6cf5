/* The RDB reader: a pure push parser. The caller feeds bytes from a file, a socket, or an LZ4 frame, as they come.
 *
 * Reads versions 1 to 12, and VALKEY080. Nothing is trusted: every length is checked against what is there and against
 * sanity before it is allocated; every failure names the offset and what was found. Keys are inserted as they complete;
 * the caller decides what happens to a half-loaded keyspace (start-up refuses to start; a replica flushes and asks
 * again). */
#ifndef SLIPSTREAM_RDB_READER_H
#define SLIPSTREAM_RDB_READER_H

#include "rdb/format.h"
#include "rdb/settings.h"
#include "rdb/writer.h"
#include "server/keyspace/keyspace.h"

struct rdb_reader;

enum rdb_status { RDB_MORE, RDB_DONE, RDB_BAD };

struct rdb_read_options {
    int64_t now_ms;
    bool drop_expired; /* a master drops keys already expired; a replica keeps them for its master to delete */
    /* The aux fields are read, and no key yet. May be NULL. */
    void (*head)(void *context, const struct rdb_aux *aux);
    /* A key is dropped. `key` is valid for the call. May be NULL. */
    void (*expired)(void *context, int db, struct bytes key);
    bool verify_only; /* parse and check everything, insert nothing (redis-check-rdb, a dry run before a flush) */
    bool sanitize;    /* refuse every value with a flaw, instead of making good what can be; each that was is logged */
    bool ignore_checksum;
    int key_load_delay_us;
    uint64_t total_bytes; /* of the RDB; 0: not known. Bounds what an announced number of keys may reserve */
    int databases;        /* so many are there, where ks is NULL; 0: any number may be named */
    bool stream_follows;  /* a replication stream comes behind it: the database that it stands in must be there, too */
    /* Every opcode that redis-check-rdb reports, in its words, and the offset behind it; may be NULL. */
    void (*trace)(void *context, uint64_t offset, const char *line);
    void (*aux)(void *context, struct bytes name, struct bytes value); /* may be NULL */
    void *context;
};

struct rdb_read_result {
    int version;
    enum rdb_dialect dialect;
    struct rdb_aux aux;
    uint64_t keys_loaded, keys_expired, keys_with_expiry; /* expired: dropped; with expiry: both kinds */
    uint64_t keys_with_field_expiry;                      /* hashes some of whose fields expire; of both kinds */
    uint64_t keys_empty;                                  /* collections without elements: skipped */
    uint64_t keys_mended;                                 /* had flaws that could be made good */
    uint64_t bytes;                                       /* of the RDB itself, checksum included */
};

/* Where the reader stands or has failed, in redis-check-rdb's words. */
struct rdb_position {
    uint64_t offset;
    const char *doing;  /* "read-type", "read-object-value" ... */
    const char *reason; /* the failure without its offset; "": none */
    int type;           /* rdb/type.h: of the value being read; -1: none */
    struct bytes key;   /* of that value; lives as long as the input last fed */
};

/* The magic and the number behind it, known to us or not. False: no RDB. */
bool rdb_header_read(const uint8_t header[RDB_HEADER_BYTES], enum rdb_dialect *dialect, int *version);

/* ks may be NULL when nothing is to be inserted. Keys are added to those of ks; its function libraries give way to the
 * RDB's, with the header, unless it says otherwise (enum dataset_meeting). */
struct rdb_reader *rdb_reader_new(struct keyspace *ks, const struct rdb_read_options *options);
void rdb_reader_free(struct rdb_reader *reader);
/* Consumes a prefix of input (*consumed) and says MORE (call again with the unconsumed rest and more behind it), DONE
 * (the checksum was right; bytes behind the end are not consumed) or BAD. Stops early with MORE after about max_keys
 * records (fewer where key_load_delay_us slows them down) so that the caller can run its loop in between; max_keys 0:
 * no limit. */
enum rdb_status rdb_reader_feed(struct rdb_reader *reader, const uint8_t *input, size_t len, size_t max_keys,
                                size_t *consumed);
const char *rdb_reader_error(const struct rdb_reader *reader); /* "at offset 123: ..." ; valid until free */
/* After MORE: the least length of input, from the first unconsumed byte, that lets reading go on; a long string may
 * want a window larger than the caller's. 0: it stopped for max_keys and has enough. */
size_t rdb_reader_wanted(const struct rdb_reader *reader);
struct rdb_position rdb_reader_position(const struct rdb_reader *reader);
const struct rdb_read_result *rdb_reader_result(const struct rdb_reader *reader);

#endif
