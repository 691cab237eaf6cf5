/* The replica is stopped, as by a debugger or a starved machine: its socket fills up. */
#include "bench/lab/faults/faults.h"
#include "bench/lab/faults/stopped.h"

static int strike(struct scene *s, char why[256])
{
    (void)why;
    return stopped_begin(s, s->replica.pid);
}

const struct fault fault_replica_frozen = {
    .name = "replica-frozen",
    .summary = "SIGSTOP, and SIGCONT: a reader that stops",
    .strike = strike,
    .heal = stopped_go_on,
};
