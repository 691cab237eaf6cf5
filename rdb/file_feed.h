/* A reader fed from a file: for loading and for redis-check-rdb. */
#ifndef SLIPSTREAM_RDB_FILE_FEED_H
#define SLIPSTREAM_RDB_FILE_FEED_H

#include "rdb/reader.h"

enum rdb_file_end {
    RDB_FILE_DONE,
    RDB_FILE_BAD,     /* the reader says why */
    RDB_FILE_SHORT,   /* the file ends too early, at the reader's position */
    RDB_FILE_FAILED,  /* reading the file failed: errno */
    RDB_FILE_STOPPED, /* turn said so */
};

/* total: the file's size in bytes. turn(context, bytes read for good, total) between batches, may be NULL; non-zero
 * stops. */
enum rdb_file_end rdb_feed_file(struct rdb_reader *reader, int fd, uint64_t total,
                                int (*turn)(void *context, uint64_t loaded, uint64_t total), void *context);

#endif
