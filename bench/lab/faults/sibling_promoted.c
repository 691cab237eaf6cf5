/* The master dies, another replica of it is promoted, and ours is sent there: PSYNC2's second id. */
#include "bench/lab/faults/faults.h"

#include <stdio.h>

static int strike(struct scene *s, char why[256])
{
    proxy_cut(s->proxy);
    scene_write_doomed(s, &s->master);
    struct instance old = s->master;
    instance_kill_alone(&old);
    scene_wait_orphaned(&s->sibling);
    snprintf(why, 256, "the sibling is not promoted");
    if (!scene_promote(&s->sibling)) return -1;
    s->master = s->sibling;
    s->sibling = old;
    proxy_retarget(s->proxy, s->master.port);
    return 0;
}

const struct fault fault_sibling_promoted = {
    .name = "sibling-promoted",
    .summary = "kill -9 for the master; another replica becomes master, and ours is sent there",
    .breaks = true,
    .wants_sibling = true,
    .strike = strike,
};
