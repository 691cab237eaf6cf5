/* Messages with descriptors between our processes, both ends. Server process, link process and journal process. */
#include "server/net/channel.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/net/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <sys/socket.h>
#include <unistd.h>

struct queued {
    struct queued *next;
    size_t len;
    int fds[CHANNEL_FDS_MAX];
    int fd_count;
    uint8_t data[];
};

struct channel {
    struct loop *loop;
    int fd;
    struct loop_watch *watch;
    struct channel_events events;
    struct queued *head, **tail;
    bool delivering, closed;
};

static void free_queued(struct queued *q)
{
    for (int i = 0; i < q->fd_count; i++) close(q->fds[i]);
    mem_free(q);
}

static void pop(struct channel *c)
{
    struct queued *q = c->head;
    c->head = q->next;
    if (!c->head) c->tail = &c->head;
    free_queued(q);
}

/* A broken channel drops what is queued; its end is heard when it is read. */
static void send_queued(struct channel *c)
{
    while (c->head) {
        if (fdpass_send(c->fd, c->head->data, c->head->len, c->head->fds, c->head->fd_count) != 0 && errno == EAGAIN)
            return;
        pop(c);
    }
    loop_watch_set(c->watch, LOOP_READABLE);
}

/* The other side's end while it had not read all of ours is told once, and before what it had sent. */
static ssize_t receive(struct channel *c, uint8_t *in, int *fds, int *fd_count)
{
    ssize_t n = fdpass_receive(c->fd, in, CHANNEL_MESSAGE_MAX, fds, fd_count);
    if (n >= 0 || errno != ECONNRESET) return n;
    *fd_count = CHANNEL_FDS_MAX;
    return fdpass_receive(c->fd, in, CHANNEL_MESSAGE_MAX, fds, fd_count);
}

static void receive_all(struct channel *c)
{
    alignas(max_align_t) uint8_t in[CHANNEL_MESSAGE_MAX];
    while (!c->closed) {
        int fds[CHANNEL_FDS_MAX], fd_count = CHANNEL_FDS_MAX;
        ssize_t n = receive(c, in, fds, &fd_count);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0)
            c->events.ended(c->events.context);
        else
            c->events.received(c->events.context, bytes_make(in, (size_t)n), fds, fd_count);
        if (n <= 0) return;
    }
}

static void ready(void *arg, int events)
{
    struct channel *c = arg;
    c->delivering = true;
    if (events & LOOP_WRITABLE) send_queued(c);
    if (events & LOOP_READABLE) receive_all(c);
    c->delivering = false;
    if (c->closed) mem_free(c);
}

struct channel *channel_open(struct loop *loop, int fd, const struct channel_events *events)
{
    struct channel *c = mem_calloc(1, sizeof(*c));
    c->loop = loop;
    c->fd = fd;
    c->events = *events;
    c->tail = &c->head;
    c->watch = loop_watch_start(loop, fd, LOOP_READABLE, ready, c);
    return c;
}

void channel_close(struct channel *c)
{
    if (c->closed) return;
    c->closed = true;
    loop_watch_stop(c->watch);
    shutdown(c->fd, SHUT_RDWR); /* a forked child may still hold a copy */
    close(c->fd);
    while (c->head) pop(c);
    if (!c->delivering) mem_free(c);
}

static int enqueue(struct channel *c, const uint8_t *data, size_t len, const int *fds, int fd_count)
{
    struct queued *q = mem_alloc(sizeof(*q) + len);
    *q = (struct queued){.len = len};
    memcpy(q->data, data, len);
    for (; q->fd_count < fd_count; q->fd_count++) {
        q->fds[q->fd_count] = fcntl(fds[q->fd_count], F_DUPFD_CLOEXEC, 0);
        if (q->fds[q->fd_count] >= 0) continue;
        int error = errno;
        free_queued(q);
        errno = error;
        return -1;
    }
    *c->tail = q;
    c->tail = &q->next;
    loop_watch_set(c->watch, LOOP_READABLE | LOOP_WRITABLE);
    return 0;
}

int channel_send(struct channel *c, struct bytes head, struct bytes body, const int *fds, int fd_count)
{
    uint8_t data[CHANNEL_MESSAGE_MAX];
    size_t len = head.len + body.len;
    CHECK(len <= sizeof(data) && fd_count <= CHANNEL_FDS_MAX);
    memcpy(data, head.ptr, head.len);
    if (body.len > 0) memcpy(data + head.len, body.ptr, body.len);
    if (!c->head) {
        if (fdpass_send(c->fd, data, len, fds, fd_count) == 0) return 0;
        if (errno != EAGAIN) return -1;
    }
    return enqueue(c, data, len, fds, fd_count);
}
