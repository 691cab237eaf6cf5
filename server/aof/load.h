/* Loading an append-only file: the manifest's base and incrementals, in order, through the caller's hands. Server
 * process, at its start and for DEBUG LOADAOF.
 *
 * It reads, checks and cuts; what a command does is the host's business. Nothing is changed on the disk unless the
 * settings ask for it (aof-load-truncated), but for the one file of Redis before 7, which is taken over as Redis 7
 * does. What it says in the log is what redis-server 7.0.15 says of such files; where that one cuts a file that is not
 * the last before it gives up, or cuts within a transaction, nothing is cut here, or all of the transaction. */
#ifndef SLIPSTREAM_AOF_LOAD_H
#define SLIPSTREAM_AOF_LOAD_H

#include "server/aof/manifest.h"
#include "server/aof/scan.h"
#include "server/aof/settings.h"

/* What has been loaded, and where the stream goes on. */
struct aof_loaded {
    struct aof_manifest *manifest; /* the caller's; NULL: there was no append-only file at all */
    uint64_t base_bytes, total_bytes;
    uint64_t last_file_bytes; /* valid bytes of the newest incremental: the journal goes on behind them */
    bool history_known;       /* the annotations told the offset behind the last command */
    char id[41], second_id[41];
    int64_t second_offset;
    uint64_t offset;
    int db; /* selected there; -1: not known */
    /* The dataset has gone on with what a killed server left of its stream: the history stands where that ends, and the
     * backlog has all that comes behind `offset`. The host's to set. */
    bool adopted;
};

/* The RDB at a file's beginning. */
struct aof_rdb {
    uint64_t bytes;
    char id[41]; /* the history that it is of; "": it says nothing */
    int64_t offset;
    int db; /* in which the stream stands there; -1: not said */
};

struct aof_load_host {
    void *context;
    /* Before anything is read: bytes of all files. */
    void (*begin)(void *context, uint64_t total_bytes);
    /* Runs commands in the order of the file; a transaction may come in pieces. The records and what they point to live
     * for the call. 0; -1: one cannot be run, which is logged, and the load fails. */
    int (*run)(void *context, const struct aof_record *records, size_t count);
    void (*begin_file)(void *context, const char *name); /* what comes now is of this one */
    /* The file ends, and with it a transaction that is still open: it does not count. */
    void (*end_file)(void *context);
    /* The RDB that the file begins with: fd stands at its beginning, and name is for messages. 0; -1: logged. */
    int (*load_rdb)(void *context, int fd, const char *name, uint64_t file_bytes, struct aof_rdb *out);
    /* Often; bytes of all files so far. Non-zero: to be given up. */
    int (*turn)(void *context, uint64_t loaded_bytes);
};

enum aof_load_outcome {
    AOF_LOAD_GOOD,
    AOF_LOAD_ABSENT,  /* there is none, or a manifest without files: nothing was asked of the host */
    AOF_LOAD_FAILED,  /* all is said */
    AOF_LOAD_STOPPED, /* the host wanted it so */
};

/* From the working directory. *out is always filled in, and aof_loaded_free()'s. */
enum aof_load_outcome aof_load(const struct aof_settings *settings, const struct aof_load_host *host,
                               struct aof_loaded *out);
void aof_loaded_free(struct aof_loaded *loaded);

#endif
