/* The process that serves a master's replicas is stopped, where the master has one: ours. */
#include "bench/lab/faults/faults.h"
#include "bench/lab/faults/stopped.h"

#include <stdio.h>

static int strike(struct scene *s, char why[256])
{
    pid_t link = process_child_with(s->master.pid, "--link-process");
    if (!link) {
        snprintf(why, 256, "this master has no link process");
        return FAULT_NOT_HERE;
    }
    return stopped_begin(s, link);
}

const struct fault fault_link_frozen = {
    .name = "link-frozen",
    .summary = "SIGSTOP for the master's link process, and SIGCONT",
    .strike = strike,
    .heal = stopped_go_on,
};
