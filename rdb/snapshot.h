/* One consistent RDB as a file: the body of SAVE, of the BGSAVE child and of the full-sync child; and loading a file
 * whole. */
#ifndef SLIPSTREAM_RDB_SNAPSHOT_H
#define SLIPSTREAM_RDB_SNAPSHOT_H

#include <limits.h>
#include <sys/types.h>

#include "rdb/reader.h"
#include "rdb/writer.h"

/* Temporary file in the directory of path, write, fsync, rename, fsync of the directory. On failure path is untouched,
 * the temporary file is gone, -1 with errno, and the reason is logged in Redis's words. */
int rdb_save_file(struct keyspace *ks, const char *path, const struct rdb_aux *aux,
                  const struct rdb_write_options *options);

/* The same with what stands in fd, a whole RDB that has been written for another purpose. fd stays the caller's. */
int rdb_save_copy(int fd, const char *path, const struct rdb_write_options *options);

/* Where process pid writes before the rename: temp-<pid>.rdb beside path. Whoever kills it removes the file.
 * In the same directory, so that the rename stays within one file system. 0, or -1 with errno: the name is too long. */
int rdb_temporary_path(const char *path, pid_t pid, char out[PATH_MAX]);

/* Into an open descriptor (spool, pipe): large writes; `advanced(context, total)` after each, with bytes so far, so
 * that a reader can follow the growing head. 0, or -1 with errno. */
int rdb_save_fd(struct keyspace *ks, int fd, const struct rdb_aux *aux, const struct rdb_write_options *options,
                void (*advanced)(void *context, uint64_t total), void *context);

/* Loads path. Between batches `turn(context, loaded_bytes, total_bytes)` runs the caller's loop; non-zero stops the
 * load. 0; -1: error (already logged with offset and reason; *out_missing true when there simply is no such file). */
int rdb_load_file(struct keyspace *ks, const char *path, const struct rdb_read_options *options,
                  int (*turn)(void *context, uint64_t loaded, uint64_t total), void *context,
                  struct rdb_read_result *result, bool *out_missing);

/* The same from a descriptor that stands at the RDB's beginning; more may stand behind it (result->bytes). It stays the
 * caller's, its position is anywhere afterwards. file_bytes: of all the file; name: for messages. */
int rdb_load_fd(struct keyspace *ks, int fd, const char *name, uint64_t file_bytes,
                const struct rdb_read_options *options, int (*turn)(void *context, uint64_t loaded, uint64_t total),
                void *context, struct rdb_read_result *result);

/* redis-check-rdb's main(). */
int rdb_check_main(int argc, char **argv);
/* Reads the RDB at the beginning of fd, a file of `total` bytes, and prints what redis-check-rdb does behind its first
 * line. True: it is good and ends at *end_offset; more may stand behind it. */
bool rdb_check_fd(int fd, uint64_t total, uint64_t *end_offset);

#endif
