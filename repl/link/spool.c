/* Snapshots on their way through the link process. */
#include "repl/link/spool.h"

#include "server/base/alloc.h"
#include "server/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void spool_init(struct spool *s, const struct spool_events *events)
{
    *s = (struct spool){.events = *events, .fd = -1};
}

static void stop_pipe(struct spool *s)
{
    if (s->watch) loop_watch_stop(s->watch);
    s->watch = NULL;
}

static void close_file(struct spool *s)
{
    stop_pipe(s);
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
}

void spool_close(struct spool *s)
{
    close_file(s);
    mem_free(s->piece);
    struct spool_events events = s->events;
    spool_init(s, &events);
}

/* --- pipes --- */

static void read_piece(struct spool *s)
{
    ssize_t n;
    do n = read(s->fd, s->piece, SPOOL_PIECE_BYTES);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        loop_watch_set(s->watch, LOOP_READABLE);
        return;
    }
    if (n < 0) log_warning("Reading the snapshot's pipe failed: %s", strerror(errno));
    if (n == 0) log_warning("Diskless rdb transfer, done reading from pipe, %u replicas still up.", s->readers);
    if (n <= 0) {
        s->ended = true;
        close_file(s);
    } else {
        loop_watch_set(s->watch, 0);
        s->piece_len = (size_t)n;
        s->pieces++;
        s->outstanding = s->readers;
    }
    s->events.moved(s->events.context);
}

static void pipe_ready(void *arg, int events)
{
    (void)events;
    struct spool *s = arg;
    if (s->piece_len == 0) read_piece(s);
}

static void start_pipe(struct spool *s)
{
    if (!s->is_pipe || s->fd < 0 || s->readers == 0 || s->watch) return;
    s->watch = loop_watch_start(s->events.loop, s->fd, LOOP_READABLE, pipe_ready, s);
}

void spool_piece_done(struct spool *s)
{
    if (--s->outstanding > 0) return;
    s->piece_len = 0;
    if (s->watch) loop_watch_set(s->watch, LOOP_READABLE);
}

/* --- both --- */

void spool_open(struct spool *s, int fd, bool is_pipe)
{
    s->fd = fd;
    s->is_pipe = is_pipe;
    if (is_pipe) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        fcntl(fd, F_SETPIPE_SZ, SPOOL_PIECE_BYTES); /* fewer, larger pieces; it works without, too */
        s->piece = mem_alloc(SPOOL_PIECE_BYTES);
    }
    start_pipe(s);
}

void spool_join(struct spool *s)
{
    s->readers++;
    start_pipe(s);
}

/* A pipe without readers is read no further, and not closed either: the server, which hears of them,
 * stops its child. */
void spool_leave(struct spool *s, bool had_piece)
{
    s->readers--;
    if (!s->is_pipe) return;
    if (s->readers == 0)
        stop_pipe(s);
    else if (!had_piece)
        spool_piece_done(s);
}

ptrdiff_t spool_read_file(const struct spool *s, uint64_t offset, void *out, size_t bytes)
{
    ssize_t n;
    do n = pread(s->fd, out, bytes, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n != 0) return n;
    errno = ENODATA;
    return -1;
}
