/* The master is shut down with a dump, and started from it, on the same port. */
#include "bench/lab/faults/faults.h"

#include <stdio.h>

static int strike(struct scene *s, char why[256])
{
    proxy_cut(s->proxy);
    snprintf(why, 256, "the master does not shut down");
    return instance_shutdown(&s->master, true) == 0 ? scene_start_again(s, &s->master, why) : -1;
}

const struct fault fault_master_restarted = {
    .name = "master-restarted",
    .summary = "SHUTDOWN SAVE, and a start from its dump before anything is written",
    .breaks = true,
    .strike = strike,
};
