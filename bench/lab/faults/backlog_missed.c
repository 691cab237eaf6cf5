/* The backlog begins one byte behind the one that the replica needs next. */
#include "bench/lab/faults/backlog_edge.h"

static int strike(struct scene *s, char why[256])
{
    return backlog_edge_reach(s, 1, why);
}

const struct fault fault_backlog_missed = {
    .name = "backlog-missed",
    .summary = "so much is written that the backlog is too short by one byte",
    .breaks = true,
    .writes_itself = true,
    .strike = strike,
};
