/* The master is stopped, as by a starved machine, and nobody is told. */
#include "bench/lab/faults/faults.h"
#include "bench/lab/faults/stopped.h"

static int strike(struct scene *s, char why[256])
{
    (void)why;
    return stopped_begin(s, s->master.pid);
}

const struct fault fault_master_frozen = {
    .name = "master-frozen",
    .summary = "SIGSTOP for the master, and SIGCONT",
    .stops_master = true,
    .strike = strike,
    .heal = stopped_go_on,
};
