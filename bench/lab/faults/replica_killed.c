/* The replica dies, and comes back with what its directory holds: nothing, or what its last full sync left there. */
#include "bench/lab/faults/faults.h"

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_cut(s->proxy);
    instance_kill(&s->replica);
    return 0;
}

static int prepare(struct scene *s, char why[256])
{
    s->replica.follows_port = proxy_port(s->proxy);
    return scene_start_again(s, &s->replica, why);
}

const struct fault fault_replica_killed = {
    .name = "replica-killed",
    .summary = "kill -9, and a start from what its directory holds",
    .breaks = true,
    .strike = strike,
    .prepare = prepare,
};
