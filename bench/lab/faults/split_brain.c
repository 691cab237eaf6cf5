/* The old master goes on taking writes behind the cut, while the replica is promoted: these writes are lost. */
#include "bench/lab/faults/faults.h"

#include <stdio.h>

static int strike(struct scene *s, char why[256])
{
    snprintf(why, 256, "the replica is not promoted");
    proxy_cut(s->proxy);
    scene_write_doomed(s, &s->master);
    return scene_swap_roles(s);
}

static int heal(struct scene *s, char why[256])
{
    snprintf(why, 256, "the old master does not follow the new one");
    proxy_heal(s->proxy);
    return scene_follow(&s->replica, proxy_port(s->proxy));
}

const struct fault fault_split_brain = {
    .name = "split-brain",
    .summary = "as old-master-returns, but the old one took writes behind the cut: they are lost, and counted",
    .breaks = true,
    .strike = strike,
    .heal = heal,
};
