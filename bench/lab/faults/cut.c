/* The connection is closed, as by a router that says so. */
#include "bench/lab/faults/faults.h"

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_cut(s->proxy);
    return 0;
}

const struct fault fault_cut = {
    .name = "cut",
    .summary = "both sides see the connection end; no new one is let through",
    .breaks = true,
    .by_wire = true,
    .strike = strike,
};
