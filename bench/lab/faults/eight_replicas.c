/* Eight replicas lose their master at once, and all come back at once. */
#include "bench/lab/faults/faults.h"

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_cut(s->proxy);
    return 0;
}

const struct fault fault_eight_replicas = {
    .name = "eight-replicas",
    .summary = "as cut, for eight replicas that come back at once",
    .breaks = true,
    .more_replicas = MORE_REPLICAS_MAX,
    .strike = strike,
};
