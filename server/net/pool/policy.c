/* See policy.h. Any process with a loop; used by the server. */
#include "server/net/pool/policy.h"

static bool is_busy(struct pool_policy *p, const struct pool_load *load)
{
    bool queued = load->pieces >= load->turns * POOL_QUEUED_PIECES;
    int percent = queued ? POOL_QUEUED_PERCENT : POOL_BUSY_PERCENT;
    if (load->speakers < POOL_SPEAKERS || load->awake_us * 100 < load->span_us * percent) return false;
    p->piece_cost_ns = load->awake_us * 1000 / load->pieces;
    return true;
}

static bool is_idle(const struct pool_policy *p, const struct pool_load *load)
{
    int64_t would_take_ns = p->piece_cost_ns * load->pieces;
    return load->speakers < POOL_SPEAKERS || would_take_ns < load->span_us * 10 * POOL_IDLE_PERCENT;
}

bool pool_policy_step(struct pool_policy *p, const struct pool_load *load)
{
    bool change = p->active ? is_idle(p, load) : is_busy(p, load);
    p->speaks_for_change_us = change ? p->speaks_for_change_us + load->span_us : 0;
    if (p->speaks_for_change_us < (p->active ? POOL_IDLE_US : POOL_BUSY_US)) return p->active;
    p->speaks_for_change_us = 0;
    p->active = !p->active;
    return p->active;
}

unsigned pool_policy_choose(const uint32_t *connections, unsigned threads)
{
    unsigned best = 0;
    for (unsigned i = 1; i < threads; i++)
        if (connections[i] < connections[best]) best = i;
    return best;
}
