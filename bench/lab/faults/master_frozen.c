/* The master is stopped, as by a starved machine, and nobody is told. */
#include "bench/lab/faults/faults.h"

#include <signal.h>

static int strike(struct scene *s, char why[256])
{
    (void)why;
    return kill(s->master.pid, SIGSTOP);
}

static int heal(struct scene *s, char why[256])
{
    (void)why;
    return kill(s->master.pid, SIGCONT);
}

const struct fault fault_master_frozen = {
    .name = "master-frozen",
    .summary = "SIGSTOP for the master, and SIGCONT",
    .stops_master = true,
    .strike = strike,
    .heal = heal,
};
