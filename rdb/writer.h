/* The RDB writer: pure, into a sink of the caller's (a file's buffer, a socket's, a DUMP payload).
 *
 * Runs in the server (SAVE, DUMP) and in the snapshot child. Writes the lowest version that loses nothing of what
 * rdb-write-for asks for: 9, unless the data needs a later one, which is logged. The checksum is kept as bytes go by.
 * Format: see rdb/format.h for every byte. */
#ifndef SLIPSTREAM_RDB_WRITER_H
#define SLIPSTREAM_RDB_WRITER_H

#include "rdb/settings.h"
#include "server/keyspace/keyspace.h"

/* Takes len bytes; 0, or -1 with errno: the writer then does nothing more and reports the failure. */
typedef int (*rdb_sink)(void *context, const uint8_t *data, size_t len);

/* What a replica or a restart needs to continue a history; written as aux fields when repl_id is not empty. */
struct rdb_aux {
    char repl_id[41];    /* "repl-id" */
    int64_t repl_offset; /* "repl-offset" */
    int repl_stream_db;  /* "repl-stream-db"; -1: not written */
    int64_t created_s;   /* "ctime" */
    uint64_t used_memory;
    bool aof_base;
};

struct rdb_write_options {
    bool compress, checksum;
    enum rdb_write_for write_for;
    bool incremental_fsync; /* files: start writing back every few MiB instead of all at the end */
    bool libraries_only;    /* no keys */
    int key_save_delay_us;
    /* Called now and then (each few thousand keys) with keys written so far: progress, and stopping. Non-zero stops. */
    int (*progress)(void *context, uint64_t keys, uint64_t bytes);
    /* Files: asked once all is on disk, before it takes the old file's place. False: it must not, ECANCELED. */
    bool (*may_publish)(void *context);
    /* Files: with bytes so far, after each write: a reader may follow the growing head. */
    void (*advanced)(void *context, uint64_t total);
    void *progress_context; /* of all three; each may be NULL */
};

/* The whole keyspace. 0, or -1 with errno; ENOTSUP: the form has no room for it (rdb/form.h), the log says why. */
int rdb_write_keyspace(struct keyspace *ks, const struct rdb_aux *aux, const struct rdb_write_options *options,
                       rdb_sink sink, void *sink_context);

#endif
