/* A slow line: the stream backs up at the master. */
#include "bench/lab/faults/faults.h"

#define SLOW_BYTES_PER_S (64 << 10)

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_slow(s->proxy, SLOW_BYTES_PER_S);
    return 0;
}

static int heal(struct scene *s, char why[256])
{
    (void)why;
    proxy_slow(s->proxy, 0);
    return 0;
}

const struct fault fault_slow = {
    .name = "slow",
    .summary = "the line takes 64 KiB a second",
    .breaks = false,
    .by_wire = true,
    .strike = strike,
    .heal = heal,
};
