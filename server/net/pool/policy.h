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
/* The loop is busy for so much of its time, or for so much while input queues up: then threads help. (Who shares his
 * processor is not busy while he waits for it.) With less than the last they are in the way. */
#define POOL_BUSY_PERCENT   60
#define POOL_QUEUED_PERCENT 30
#define POOL_QUEUED_PIECES  3 /* a turn */
#define POOL_IDLE_PERCENT   15
#define POOL_SPEAKERS       4 /* fewer are served as fast without */
/* For so long in a row. */
#define POOL_BUSY_US 30000
#define POOL_IDLE_US 200000

/* What happened in one window. */
struct pool_load {
    int64_t span_us, awake_us; /* its length; of it, the time in which the loop did not wait */
    uint32_t pieces, speakers; /* of input; how many connections they came from */
    uint32_t turns;
};

struct pool_policy {
    bool active;
    int64_t speaks_for_change_us;
    int64_t piece_cost_ns; /* without threads */
};

/* Returns p->active. */
bool pool_policy_step(struct pool_policy *p, const struct pool_load *load);
/* The thread with the fewest connections, the first of several. */
unsigned pool_policy_choose(const uint32_t *connections, unsigned threads);

#endif
