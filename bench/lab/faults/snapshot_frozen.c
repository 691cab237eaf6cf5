/* The child that makes a replica's snapshot is stopped in the middle, as by a starved machine, and goes on later: the
 * replica must wait for it, and the stream be kept meanwhile. */
#include "bench/lab/faults/faults.h"
#include "bench/lab/faults/snapshot_child.h"
#include "bench/lab/faults/stopped.h"

static int strike(struct scene *s, char why[256])
{
    pid_t child;
    int status = snapshot_child_begin(s, &child, why);
    if (status == 0) stopped_begin(s, child);
    instance_set(&s->master, "rdb-key-save-delay", "0");
    return status;
}

const struct fault fault_snapshot_frozen = {
    .name = "snapshot-frozen",
    .summary = "SIGSTOP for the child that makes an empty replica's snapshot, and SIGCONT",
    .breaks = true,
    .asks_within = true,
    .strike = strike,
    .heal = stopped_go_on,
};
