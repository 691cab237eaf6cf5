/* The replica is stopped, as by a debugger or a starved machine: its socket fills up. */
#include "bench/lab/faults/faults.h"

#include <signal.h>

static int strike(struct scene *s, char why[256])
{
    (void)why;
    return kill(s->replica.pid, SIGSTOP);
}

static int heal(struct scene *s, char why[256])
{
    (void)why;
    return kill(s->replica.pid, SIGCONT);
}

const struct fault fault_replica_frozen = {
    .name = "replica-frozen",
    .summary = "SIGSTOP, and SIGCONT: a reader that stops",
    .strike = strike,
    .heal = heal,
};
