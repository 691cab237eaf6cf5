/* One connection to one server, with a bound on every wait. */
#include "tests/differential/channel.h"

#include "tests/differential/reply.h"
#include "tests/harness/clock.h"
#include "tests/harness/raw.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536

void channel_open(struct channel *c, const struct server *s)
{
    int yes = 1;
    *c = (struct channel){.fd = raw_try_connect("127.0.0.1", s->port)};
    if (c->fd >= 0) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

void channel_close(struct channel *c)
{
    if (c->fd >= 0) close(c->fd);
    free(c->bytes);
    *c = (struct channel){.fd = -1};
}

void channel_send(struct channel *c, const void *bytes, size_t len)
{
    if (c->fd >= 0) raw_send(c->fd, bytes, len);
}

static void make_room(struct channel *c)
{
    if (c->start == c->end) c->start = c->end = 0;
    if (c->room - c->end >= READ_BYTES) return;
    if (c->end > c->start) memmove(c->bytes, c->bytes + c->start, c->end - c->start);
    c->end -= c->start;
    c->start = 0;
    while (c->room - c->end < READ_BYTES) c->room = c->room ? 2 * c->room : 2 * READ_BYTES;
    c->bytes = realloc(c->bytes, c->room);
}

enum channel_result channel_next(struct channel *c, int bound_ms, const char **bytes, size_t *len)
{
    int64_t deadline_ms = clock_ms() + bound_ms;
    while (c->fd >= 0) {
        ptrdiff_t extent = c->end > c->start ? reply_extent(c->bytes + c->start, c->end - c->start) : 0;
        if (extent < 0) break;
        if (extent > 0) {
            *bytes = c->bytes + c->start;
            *len = extent;
            c->start += extent;
            return CHANNEL_REPLY;
        }
        int64_t rest_ms = deadline_ms - clock_ms();
        struct pollfd entry = {.fd = c->fd, .events = POLLIN};
        if (poll(&entry, 1, rest_ms > 0 ? (int)rest_ms : 0) == 0) return CHANNEL_NOTHING;
        make_room(c);
        ssize_t got = recv(c->fd, c->bytes + c->end, c->room - c->end, 0);
        if (got <= 0) break;
        c->end += got;
    }
    channel_close(c);
    return CHANNEL_CLOSED;
}
