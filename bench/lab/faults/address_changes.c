/* The master is found at another address, as behind a new service; its history is the same. */
#include "bench/lab/faults/faults.h"

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_cut(s->proxy);
    return 0;
}

static int prepare(struct scene *s, char why[256])
{
    return scene_move_proxy(s, why);
}

static int heal(struct scene *s, char why[256])
{
    (void)why;
    proxy_heal(s->proxy);
    return scene_follow(&s->replica, proxy_port(s->proxy));
}

const struct fault fault_address_changes = {
    .name = "address-changes",
    .summary = "the master's old address is gone; the replica is told another",
    .breaks = true,
    .strike = strike,
    .prepare = prepare,
    .heal = heal,
};
