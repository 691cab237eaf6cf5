/* The child that makes a replica's snapshot dies in the middle: nobody may take what came so far for a dataset. */
#include "bench/lab/faults/faults.h"
#include "bench/lab/faults/snapshot_child.h"

#include <signal.h>

static int strike(struct scene *s, char why[256])
{
    pid_t child;
    int status = snapshot_child_begin(s, &child, why);
    if (status == 0) kill(child, SIGKILL);
    proxy_cut(s->proxy);
    instance_set(&s->master, "rdb-key-save-delay", "0");
    return status;
}

const struct fault fault_snapshot_killed = {
    .name = "snapshot-killed",
    .summary = "kill -9 for the child that makes an empty replica's snapshot",
    .breaks = true,
    .strike = strike,
};
