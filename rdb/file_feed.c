/* A reader fed from a file with read() in large blocks. The file is not mapped: one cut short while it is being read is
 * an error to report here, and would be a SIGBUS there. Server process and checker. */
#include "rdb/file_feed.h"

#include <errno.h>
#include <unistd.h>

#include "server/base/alloc.h"

/* A block: many records, and still in the cache when the checksum passes over it. */
#define WINDOW_BYTES  ((size_t)256 * 1024)
#define KEYS_PER_TURN 4096

struct window {
    uint8_t *data;
    size_t capacity, start, end; /* unread bytes stand in start..end */
};

static int window_grow(struct window *w, size_t capacity)
{
    uint8_t *larger = mem_try_alloc(capacity);
    if (!larger) {
        errno = ENOMEM;
        return -1;
    }
    memcpy(larger, w->data + w->start, w->end - w->start);
    mem_free(w->data);
    *w = (struct window){larger, capacity, 0, w->end - w->start};
    return 0;
}

/* Makes at least `wanted` unread bytes stand in the window: 1; 0: the file has no more; -1 with errno. */
static int window_fill(struct window *w, int fd, size_t wanted)
{
    if (w->capacity < wanted) {
        if (window_grow(w, wanted) != 0) return -1;
    } else if (w->start > 0) {
        memmove(w->data, w->data + w->start, w->end - w->start);
        w->end -= w->start;
        w->start = 0;
    }
    while (w->end < wanted) {
        ssize_t got = read(fd, w->data + w->end, w->capacity - w->end);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return (int)got;
        w->end += (size_t)got;
    }
    return 1;
}

static enum rdb_file_end feed(struct rdb_reader *reader, struct window *w, int fd, uint64_t total,
                              int (*turn)(void *context, uint64_t loaded, uint64_t total), void *context)
{
    for (;;) {
        size_t consumed;
        enum rdb_status status =
            rdb_reader_feed(reader, w->data + w->start, w->end - w->start, KEYS_PER_TURN, &consumed);
        w->start += consumed;
        if (status == RDB_DONE) return RDB_FILE_DONE;
        if (status == RDB_BAD) return RDB_FILE_BAD;

        uint64_t loaded = rdb_reader_result(reader)->bytes;
        if (turn && turn(context, loaded, total) != 0) return RDB_FILE_STOPPED;
        size_t wanted = rdb_reader_wanted(reader);
        if (wanted == 0) continue;
        /* Asked before the window grows: a damaged length must not make us allocate what the file cannot hold. */
        if (total < loaded || total - loaded < wanted) return RDB_FILE_SHORT;
        int filled = window_fill(w, fd, wanted);
        if (filled < 0) return RDB_FILE_FAILED;
        if (filled == 0) return RDB_FILE_SHORT;
    }
}

enum rdb_file_end rdb_feed_file(struct rdb_reader *reader, int fd, uint64_t total,
                                int (*turn)(void *context, uint64_t loaded, uint64_t total), void *context)
{
    struct window w = {.data = mem_alloc(WINDOW_BYTES), .capacity = WINDOW_BYTES};
    enum rdb_file_end end = feed(reader, &w, fd, total, turn, context);
    int error = errno;
    mem_free(w.data);
    errno = error;
    return end;
}
