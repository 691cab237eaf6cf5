/* The master dies, another replica of it is promoted, and ours is sent there: PSYNC2's second id. */
#include "bench/lab/faults/faults.h"

#include <stdio.h>

static int strike(struct scene *s, char why[256])
{
    struct instance old = s->master;
    proxy_cut(s->proxy);
    instance_kill(&old);
    redisReply *r = instance_command(&s->sibling, "REPLICAOF NO ONE");
    bool promoted = r && r->type == REDIS_REPLY_STATUS;
    freeReplyObject(r);
    snprintf(why, 256, "the sibling is not promoted");
    if (!promoted) return -1;
    s->master = s->sibling;
    s->sibling = old;
    proxy_retarget(s->proxy, s->master.port);
    return 0;
}

static int heal(struct scene *s, char why[256])
{
    (void)why;
    proxy_heal(s->proxy);
    return 0;
}

const struct fault fault_sibling_promoted = {
    .name = "sibling-promoted",
    .summary = "kill -9 for the master; another replica becomes master, and ours is sent there",
    .breaks = true,
    .wants_sibling = true,
    .strike = strike,
    .heal = heal,
};
