/* The connection is reset: what was under way is lost on both sides. */
#include "bench/lab/faults/faults.h"

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_set_mode(s->proxy, PROXY_RESET);
    return 0;
}

const struct fault fault_reset = {
    .name = "reset",
    .summary = "as cut, by RST",
    .breaks = true,
    .by_wire = true,
    .strike = strike,
};
