/* The replica is shut down and comes back with nothing, as a pod without a volume. */
#include "bench/lab/faults/faults.h"

#include <stdio.h>
#include <unistd.h>

static int strike(struct scene *s, char why[256])
{
    proxy_cut(s->proxy);
    snprintf(why, 256, "the replica does not shut down");
    return instance_shutdown(&s->replica, false);
}

static int prepare(struct scene *s, char why[256])
{
    char dump[400];
    snprintf(dump, sizeof dump, "%s/dump.rdb", s->replica.dir);
    unlink(dump);
    s->replica.follows_port = proxy_port(s->proxy);
    return scene_start_again(s, &s->replica, why);
}

const struct fault fault_replica_emptied = {
    .name = "replica-emptied",
    .summary = "SHUTDOWN NOSAVE, and a start without a dump",
    .breaks = true,
    .strike = strike,
    .prepare = prepare,
};
