/* A long and uneven line. */
#include "bench/lab/faults/faults.h"

#define DELAY_MS  100
#define JITTER_MS 50

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_seed(s->proxy, (unsigned)s->settings.seed);
    proxy_delay(s->proxy, DELAY_MS, JITTER_MS);
    return 0;
}

static int heal(struct scene *s, char why[256])
{
    (void)why;
    proxy_delay(s->proxy, 0, 0);
    return 0;
}

const struct fault fault_delay = {
    .name = "delay",
    .summary = "each piece is 100 ms late, and up to 50 ms more",
    .breaks = false,
    .by_wire = true,
    .strike = strike,
    .heal = heal,
};
