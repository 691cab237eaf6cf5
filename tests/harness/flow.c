/* A queue of pieces. See flow.h. */
#include "tests/harness/flow.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PIECE_BYTES        65536
#define DELAYED_ROOM_BYTES (16u << 20) /* what a long line holds; a short one holds a piece, and pushes back */

struct piece {
    struct piece *next;
    int64_t due_us;
    size_t from, to;
    uint8_t bytes[PIECE_BYTES];
};

static void append(struct flow *f, struct piece *p)
{
    if (f->last)
        f->last->next = p;
    else
        f->first = p;
    f->last = p;
    f->bytes += p->to;
}

static void drop_first(struct flow *f)
{
    struct piece *p = f->first;
    f->first = p->next;
    if (!f->first) f->last = NULL;
    free(p);
}

const uint8_t *flow_take(struct flow *f, int fd, int64_t due_us, long *len)
{
    struct piece *p = malloc(sizeof *p);
    ssize_t got = p ? recv(fd, p->bytes, sizeof p->bytes, 0) : -1;
    if (got > 0) {
        p->next = NULL;
        p->due_us = f->last && f->last->due_us > due_us ? f->last->due_us : due_us;
        p->from = 0;
        p->to = (size_t)got;
        append(f, p);
        *len = got;
        return p->bytes;
    }
    *len = got < 0 && errno != EAGAIN && errno != EINTR ? -1 : 0;
    if (got == 0) f->ended = true;
    free(p);
    return NULL;
}

long flow_send(struct flow *f, int fd, int64_t now_us, uint64_t most)
{
    long sum = 0;
    while (f->first && f->first->due_us <= now_us && most) {
        struct piece *p = f->first;
        size_t len = p->to - p->from < most ? p->to - p->from : (size_t)most;
        ssize_t sent = send(fd, p->bytes + p->from, len, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN || errno == EINTR ? sum : -1;
        p->from += (size_t)sent;
        f->bytes -= (size_t)sent;
        sum += sent;
        most -= (uint64_t)sent;
        if (p->from == p->to) drop_first(f);
        if ((size_t)sent < len) break;
    }
    return sum;
}

void flow_swallow(struct flow *f)
{
    while (f->first) drop_first(f);
    f->bytes = 0;
}

bool flow_has_room(const struct flow *f, bool delayed)
{
    return !f->ended && f->bytes < (delayed ? DELAYED_ROOM_BYTES : 1);
}

int64_t flow_due_us(const struct flow *f)
{
    return f->first ? f->first->due_us : INT64_MAX;
}

bool flow_is_through(const struct flow *f)
{
    return f->ended && !f->first;
}
