/* The master's side is closed, and the replica is not told. */
#include "bench/lab/faults/faults.h"

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_half_open(s->proxy);
    return 0;
}

const struct fault fault_half_open = {
    .name = "half-open",
    .summary = "the master sees the end, the replica hears nothing",
    .breaks = true,
    .by_wire = true,
    .strike = strike,
};
