/* One connection to one server: bytes out, whole replies in, with a bound on the wait. */
#ifndef DIFFERENTIAL_CHANNEL_H
#define DIFFERENTIAL_CHANNEL_H

#include "tests/harness/server.h"

#include <stdbool.h>
#include <stddef.h>

struct channel {
    int fd; /* -1: closed */
    char *bytes;
    size_t start, end, room;
};

enum channel_result { CHANNEL_REPLY, CHANNEL_NOTHING, CHANNEL_CLOSED };

/* A channel that cannot be opened is a closed one. */
void channel_open(struct channel *c, const struct server *s);
void channel_close(struct channel *c);
void channel_send(struct channel *c, const void *bytes, size_t len);
/* The next reply's bytes, valid until the next call. What is no RESP counts as closed. */
enum channel_result channel_next(struct channel *c, int bound_ms, const char **bytes, size_t *len);

#endif
