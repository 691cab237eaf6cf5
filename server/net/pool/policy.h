/* When I/O threads are worth it. Pure: figures in, decisions out.
 *
 * A thread in between costs two wake-ups for a request. They pay only where several connections speak at the same time
 * and the loop does not keep up with ease; then a wake-up is for many requests. That is so where it hardly ever waits,
 * or where input queues up: a loop that shares its processor with others waits for that, and seems to have time. While
 * the threads work, the loop's own time says nothing of what it would have to do without them: then what counts is how
 * much comes, compared with what came when they began. */
#ifndef SLIPSTREAM_NET_POOL_POLICY_H
#define SLIPSTREAM_NET_POOL_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define POOL_WINDOW_US     10000
#define POOL_SPEAKERS      4    /* fewer are served as fast without */
#define POOL_BUSY_PERCENT  60   /* of its time the loop does not wait */
#define POOL_QUEUED_PIECES 3    /* are there in each of its turns, on average */
#define POOL_QUEUED_RATE   8000 /* pieces a second; with fewer, it may queue */
#define POOL_IDLE_PART     4    /* the rate has fallen to so large a part */
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
    int64_t busy_rate; /* pieces a second when threads began */
};

/* Returns p->active. */
bool pool_policy_step(struct pool_policy *p, const struct pool_load *load);

#endif
