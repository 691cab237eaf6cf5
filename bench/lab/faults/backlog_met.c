/* The backlog reaches back to the very byte that the replica needs next. */
#include "bench/lab/faults/backlog_edge.h"

static int strike(struct scene *s, char why[256])
{
    return backlog_edge_reach(s, 0, why);
}

const struct fault fault_backlog_met = {
    .name = "backlog-met",
    .summary = "so much is written that the backlog just reaches back far enough",
    .breaks = true,
    .writes_itself = true,
    .strike = strike,
};
