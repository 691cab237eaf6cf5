/* The child that makes a replica's snapshot is stopped in the middle, as by a starved machine, and goes on later: the
 * replica must wait for it, and the stream be kept meanwhile. */
#include "bench/lab/faults/faults.h"
#include "bench/lab/faults/snapshot_child.h"

#include <signal.h>

static int strike(struct scene *s, char why[256])
{
    int status = snapshot_child_begin(s, &s->stopped, why);
    if (status == 0) kill(s->stopped, SIGSTOP);
    instance_set(&s->master, "rdb-key-save-delay", "0");
    return status;
}

static int heal(struct scene *s, char why[256])
{
    (void)why;
    kill(s->stopped, SIGCONT); /* it is gone where the master did without it */
    return 0;
}

const struct fault fault_snapshot_frozen = {
    .name = "snapshot-frozen",
    .summary = "SIGSTOP for the child that makes an empty replica's snapshot, and SIGCONT",
    .breaks = true,
    .asks_within = true,
    .strike = strike,
    .heal = heal,
};
