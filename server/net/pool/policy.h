/* When I/O threads are worth it, and which of them gets a connection. Pure: figures in, decisions out.
 *
 * A thread in between costs two wake-ups for a request. They pay only where the loop would be busy otherwise, with
 * several connections that speak at the same time; then a wake-up is for many requests. While the threads work, the
 * loop's own time says little of what it would have to do without them: therefore what a piece of input cost before is
 * remembered. */
#ifndef SLIPSTREAM_NET_POOL_POLICY_H
#define SLIPSTREAM_NET_POOL_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define POOL_WINDOW_US 10000
/* The loop is busy for so much of its time: then threads help. With less than a third of that they are in the way. */
#define POOL_BUSY_PERCENT 60
#define POOL_IDLE_PERCENT 20
#define POOL_SPEAKERS     4 /* fewer are served as fast without */
#define POOL_BUSY_WINDOWS 3 /* in a row */
#define POOL_IDLE_WINDOWS 20

/* What happened in one window. */
struct pool_load {
    int64_t span_us, awake_us; /* its length; of it, the time in which the loop did not wait */
    uint32_t pieces, speakers; /* of input; how many connections they came from */
};

struct pool_policy {
    bool active;
    uint8_t windows;       /* in a row that speak for a change */
    int64_t piece_cost_ns; /* without threads */
};

/* Returns p->active. */
bool pool_policy_step(struct pool_policy *p, const struct pool_load *load);
/* The thread with the fewest connections, the first of several. */
unsigned pool_policy_choose(const uint32_t *connections, unsigned threads);

#endif
