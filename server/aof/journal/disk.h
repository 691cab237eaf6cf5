/* Writing and fsync of a file beside the loop, where nobody waits for them: by io_uring, or, where that is refused, a
 * write in place and an fsync on a thread. Journal process.
 *
 * One write and one fsync can be on their way at the same time. What they came to is told later, from the loop. */
#ifndef SLIPSTREAM_AOF_JOURNAL_DISK_H
#define SLIPSTREAM_AOF_JOURNAL_DISK_H

#include "server/net/loop.h"

#include <sys/types.h>
#include <sys/uio.h>

struct disk;

struct disk_events {
    void *context;
    void (*wrote)(void *context, ssize_t bytes); /* fewer than all: the rest was not tried; below 0: -errno */
    void (*synced)(void *context, int error);    /* 0: durable */
};

/* NULL with errno. */
struct disk *disk_open(struct loop *loop, const struct disk_events *events);
/* The runs stay as they are until it is told. */
void disk_write(struct disk *d, int fd, const struct iovec *runs, int count, uint64_t offset);
void disk_sync(struct disk *d, int fd); /* data, and what of the inode is needed to find it */

#endif
