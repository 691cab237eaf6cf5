/* Writes and fsyncs by io_uring, or by hand. Journal process.
 *
 * A ring of its own, apart from the loop's: completions ring an eventfd that the loop watches. */
#include "server/aof/journal/disk.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/workers.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ENTRIES 8

enum operation { WRITE = 1, SYNC };

struct disk {
    struct loop *loop;
    struct disk_events events;
    bool by_ring;
    struct io_uring ring;
    int done_fd; /* eventfd: something is done */

    /* without a ring */
    struct worker_job sync_job;
    int sync_fd, sync_error;
    ssize_t result;
};

/* --- io_uring --- */

static void complete(struct disk *d, enum operation operation, int result)
{
    if (operation == WRITE)
        d->events.wrote(d->events.context, result);
    else
        d->events.synced(d->events.context, result < 0 ? -result : 0);
}

static void ring_done(void *arg, int events)
{
    struct disk *d = arg;
    struct io_uring_cqe *cqe;
    eventfd_t count;
    (void)events;
    (void)eventfd_read(d->done_fd, &count);
    while (io_uring_peek_cqe(&d->ring, &cqe) == 0) {
        enum operation operation = (enum operation)cqe->user_data;
        int result = cqe->res;
        io_uring_cqe_seen(&d->ring, cqe);
        complete(d, operation, result);
    }
}

static struct io_uring_sqe *next_sqe(struct disk *d)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&d->ring);
    CHECK(sqe); /* all that was asked for before is submitted */
    return sqe;
}

/* Refused by a filter or for want of memory: tried again, since what was asked for must not be forgotten. */
static void submit(struct disk *d)
{
    int result;
    do result = io_uring_submit(&d->ring);
    while (result == -EINTR || result == -EAGAIN || result == -EBUSY);
    CHECK(result >= 0);
}

static int open_ring(struct disk *d)
{
    int error = -io_uring_queue_init(ENTRIES, &d->ring, 0);
    if (error) return error;
    error = -io_uring_register_eventfd(&d->ring, d->done_fd);
    if (error) io_uring_queue_exit(&d->ring);
    return error;
}

/* --- by hand --- */

static void sync_on_thread(struct worker_job *job)
{
    struct disk *d = (struct disk *)(void *)((char *)job - offsetof(struct disk, sync_job));
    d->sync_error = fdatasync(d->sync_fd) == 0 ? 0 : errno;
}

static void synced_by_hand(struct worker_job *job)
{
    struct disk *d = (struct disk *)(void *)((char *)job - offsetof(struct disk, sync_job));
    d->events.synced(d->events.context, d->sync_error);
}

static void thread_done(void *arg, int events)
{
    (void)arg, (void)events;
    workers_collect();
}

static int64_t tell_written(void *arg)
{
    struct disk *d = arg;
    d->events.wrote(d->events.context, d->result);
    return LOOP_TIMER_DONE;
}

/* --- both --- */

struct disk *disk_open(struct loop *loop, const struct disk_events *events)
{
    struct disk *d = mem_calloc(1, sizeof(*d));
    d->loop = loop;
    d->events = *events;
    d->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = d->done_fd < 0 || strcmp(loop_engine_name(loop), "io_uring") != 0 ? ENOSYS : open_ring(d);
    d->by_ring = error == 0;
    if (d->by_ring) {
        loop_watch_start(loop, d->done_fd, LOOP_READABLE, ring_done, d);
        return d;
    }
    if (d->done_fd >= 0) close(d->done_fd);
    d->done_fd = workers_start();
    if (d->done_fd < 0) {
        error = errno;
        mem_free(d);
        errno = error;
        return NULL;
    }
    loop_watch_start(loop, d->done_fd, LOOP_READABLE, thread_done, d);
    return d;
}

void disk_write(struct disk *d, int fd, const struct iovec *runs, int count, uint64_t offset)
{
    if (d->by_ring) {
        struct io_uring_sqe *sqe = next_sqe(d);
        io_uring_prep_writev(sqe, fd, runs, (unsigned)count, offset);
        sqe->user_data = WRITE;
        submit(d);
        return;
    }
    d->result = pwritev(fd, runs, count, (off_t)offset);
    if (d->result < 0) d->result = -errno;
    loop_timer_start(d->loop, 0, tell_written, d);
}

void disk_sync(struct disk *d, int fd)
{
    if (d->by_ring) {
        struct io_uring_sqe *sqe = next_sqe(d);
        io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
        sqe->user_data = SYNC;
        submit(d);
        return;
    }
    d->sync_fd = fd;
    d->sync_job = (struct worker_job){.run = sync_on_thread, .done = synced_by_hand};
    workers_submit(WORKER_FSYNC, &d->sync_job);
}
