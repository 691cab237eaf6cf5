/* The replica's side is closed, and the master thinks it alive. */
#include "bench/lab/faults/faults.h"

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_deaf(s->proxy);
    return 0;
}

const struct fault fault_deaf = {
    .name = "deaf",
    .summary = "the replica sees the end, the master hears nothing",
    .breaks = true,
    .by_wire = true,
    .strike = strike,
};
