/* The master dies and comes back with what its directory holds: its history, and perhaps its data, are gone. */
#include "bench/lab/faults/faults.h"

static int strike(struct scene *s, char why[256])
{
    proxy_cut(s->proxy);
    scene_write_doomed(s, &s->master);
    instance_kill_alone(&s->master);
    return scene_start_again(s, &s->master, why);
}

const struct fault fault_master_killed = {
    .name = "master-killed",
    .summary = "kill -9 for the master, and a start from what its directory holds",
    .breaks = true,
    .strike = strike,
};
