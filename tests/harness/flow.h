/* Bytes on their way in one direction of a proxied connection: pieces in order, each with the time from which on it may
 * leave. No threads, no clock of its own. */
#ifndef HARNESS_FLOW_H
#define HARNESS_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flow {
    struct piece *first, *last;
    size_t bytes; /* that wait */
    bool ended;   /* the source said so */
};

/* Takes what `fd` has, one piece at most, to leave at due_us (never before an earlier one). The piece, valid until the
 * next call, and its length in *len; NULL: nothing came (`ended` says if nothing ever will). -1 in *len: it broke. */
const uint8_t *flow_take(struct flow *f, int fd, int64_t due_us, long *len);
/* Sends what is due, at most `most` bytes. How many; -1: the receiver broke. */
long flow_send(struct flow *f, int fd, int64_t now_us, uint64_t most);
void flow_swallow(struct flow *f);                      /* nobody is there any more */
bool flow_has_room(const struct flow *f, bool delayed); /* another piece may be taken */
int64_t flow_due_us(const struct flow *f);              /* of the first piece; INT64_MAX: there is none */
bool flow_is_through(const struct flow *f);             /* ended, and nothing waits */

#endif
