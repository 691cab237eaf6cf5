/* The replica is shut down with a dump, and started from it. */
#include "bench/lab/faults/faults.h"

#include <stdio.h>

static int strike(struct scene *s, char why[256])
{
    proxy_cut(s->proxy);
    snprintf(why, 256, "the replica does not shut down");
    return instance_shutdown(&s->replica, true);
}

static int prepare(struct scene *s, char why[256])
{
    s->replica.follows_port = proxy_port(s->proxy);
    return scene_start_again(s, &s->replica, why);
}

const struct fault fault_replica_restarted = {
    .name = "replica-restarted",
    .summary = "SHUTDOWN SAVE, and a start from its dump",
    .breaks = true,
    .strike = strike,
    .prepare = prepare,
};
