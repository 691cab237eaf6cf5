/* A black hole: the connection stands, and nothing moves until it is healed. */
#include "bench/lab/faults/faults.h"

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_stall(s->proxy);
    return 0;
}

const struct fault fault_stall = {
    .name = "stall",
    .summary = "no byte moves and nobody is told; what was sent arrives later",
    .breaks = false,
    .by_wire = true,
    .strike = strike,
};
