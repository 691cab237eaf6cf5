/* See policy.h. Any process with a loop; used by the server. */
#include "server/net/pool/policy.h"

static int64_t rate(const struct pool_load *load)
{
    return load->span_us ? (int64_t)load->pieces * 1000000 / load->span_us : 0;
}

static bool is_busy(const struct pool_load *load)
{
    if (load->speakers < POOL_SPEAKERS) return false;
    bool queued = load->pieces >= load->turns * POOL_QUEUED_PIECES && rate(load) >= POOL_QUEUED_RATE;
    return queued || load->awake_us * 100 >= load->span_us * POOL_BUSY_PERCENT;
}

static bool is_idle(const struct pool_policy *p, const struct pool_load *load)
{
    return load->speakers < POOL_SPEAKERS || rate(load) * POOL_IDLE_PART < p->busy_rate;
}

bool pool_policy_step(struct pool_policy *p, const struct pool_load *load)
{
    bool change = p->active ? is_idle(p, load) : is_busy(load);
    p->speaks_for_change_us = change ? p->speaks_for_change_us + load->span_us : 0;
    if (p->speaks_for_change_us < (p->active ? POOL_IDLE_US : POOL_BUSY_US)) return p->active;
    p->speaks_for_change_us = 0;
    p->active = !p->active;
    p->busy_rate = rate(load);
    return p->active;
}
