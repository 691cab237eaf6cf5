/* The process that serves a master's replicas is stopped, where the master has one: ours. */
#include "bench/lab/faults/faults.h"

#include <signal.h>
#include <stdio.h>

static int strike(struct scene *s, char why[256])
{
    s->stopped = process_child_with(s->master.pid, "--link-process");
    if (!s->stopped) {
        snprintf(why, 256, "this master has no link process");
        return FAULT_NOT_HERE;
    }
    return kill(s->stopped, SIGSTOP);
}

static int heal(struct scene *s, char why[256])
{
    (void)why;
    kill(s->stopped, SIGCONT); /* it is gone where the master did without it */
    return 0;
}

const struct fault fault_link_frozen = {
    .name = "link-frozen",
    .summary = "SIGSTOP for the master's link process, and SIGCONT",
    .strike = strike,
    .heal = heal,
};
