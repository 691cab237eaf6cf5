/* The replica is promoted, and the old master, which was not written to any more, comes back as its replica. */
#include "bench/lab/faults/faults.h"

#include <stdio.h>

static int strike(struct scene *s, char why[256])
{
    snprintf(why, 256, "the replica is not promoted");
    proxy_cut(s->proxy);
    return scene_swap_roles(s);
}

static int heal(struct scene *s, char why[256])
{
    snprintf(why, 256, "the old master does not follow the new one");
    proxy_heal(s->proxy);
    return scene_follow(&s->replica, proxy_port(s->proxy));
}

const struct fault fault_old_master_returns = {
    .name = "old-master-returns",
    .summary = "a promotion; the old master comes back as replica, with nothing that the new one lacks",
    .breaks = true,
    .strike = strike,
    .heal = heal,
};
