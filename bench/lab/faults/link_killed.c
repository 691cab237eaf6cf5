/* The process that serves a master's replicas dies, where the master has one: ours. */
#include "bench/lab/faults/faults.h"

#include <signal.h>
#include <stdio.h>

static int strike(struct scene *s, char why[256])
{
    pid_t link = process_child_with(s->master.pid, "--link-process");
    if (!link) {
        snprintf(why, 256, "this master has no link process");
        return FAULT_NOT_HERE;
    }
    return kill(link, SIGKILL);
}

static int heal(struct scene *s, char why[256])
{
    (void)s;
    (void)why;
    return 0;
}

const struct fault fault_link_killed = {
    .name = "link-killed",
    .summary = "kill -9 for the master's link process; nothing is healed",
    .breaks = true,
    .heals_itself = true,
    .strike = strike,
    .heal = heal,
};
