/* A reader fed from a file in large blocks. Server process and checker. */
#include "rdb/file_feed.h"

#include <errno.h>

#include "server/base/file_window.h"

#define KEYS_PER_TURN 4096

static enum rdb_file_end feed(struct rdb_reader *reader, struct file_window *w, int fd, uint64_t total,
                              int (*turn)(void *context, uint64_t loaded, uint64_t total), void *context)
{
    for (;;) {
        struct bytes unread = file_window_unread(w);
        size_t consumed;
        enum rdb_status status = rdb_reader_feed(reader, unread.ptr, unread.len, KEYS_PER_TURN, &consumed);
        file_window_consume(w, consumed);
        if (status == RDB_DONE) return RDB_FILE_DONE;
        if (status == RDB_BAD) return RDB_FILE_BAD;

        uint64_t loaded = rdb_reader_result(reader)->bytes;
        if (turn && turn(context, loaded, total) != 0) return RDB_FILE_STOPPED;
        size_t wanted = rdb_reader_wanted(reader);
        if (wanted == 0) continue;
        /* Asked before the window grows: a damaged length must not make us allocate what the file cannot hold. */
        if (total < loaded || total - loaded < wanted) return RDB_FILE_SHORT;
        if (file_window_fill(w, fd, wanted) != 0) return errno == ENODATA ? RDB_FILE_SHORT : RDB_FILE_FAILED;
    }
}

enum rdb_file_end rdb_feed_file(struct rdb_reader *reader, int fd, uint64_t total,
                                int (*turn)(void *context, uint64_t loaded, uint64_t total), void *context)
{
    struct file_window w;
    file_window_init(&w);
    enum rdb_file_end end = feed(reader, &w, fd, total, turn, context);
    int error = errno;
    file_window_free(&w);
    errno = error;
    return end;
}
