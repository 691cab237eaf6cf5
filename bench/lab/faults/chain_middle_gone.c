/* Of a chain of three the middle one dies, and the last is led to the first: the chain has one history. */
#include "bench/lab/faults/faults.h"

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_cut(s->proxy);
    instance_kill_alone(&s->sibling);
    proxy_retarget(s->proxy, s->master.port);
    return 0;
}

const struct fault fault_chain_middle_gone = {
    .name = "chain-middle-gone",
    .summary = "of a chain of three the middle one dies; the last follows the first",
    .breaks = true,
    .wants_chain = true,
    .strike = strike,
};
