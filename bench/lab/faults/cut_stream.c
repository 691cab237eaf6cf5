/* The connection ends in the middle of a command: what the replica has is not whole. */
#include "bench/lab/faults/faults.h"

#include <stdio.h>

#define FIRST_BYTES 4096

static int strike(struct scene *s, char why[256])
{
    (void)why;
    proxy_cut_after(s->proxy, 1 + s->settings.seed % FIRST_BYTES);
    return 0;
}

static int heal(struct scene *s, char why[256])
{
    snprintf(why, 256, "too little was written: the byte to cut at was never sent");
    if (proxy_current_mode(s->proxy) != PROXY_CUT) return FAULT_NOT_HERE;
    proxy_heal(s->proxy);
    return 0;
}

const struct fault fault_cut_stream = {
    .name = "cut-stream",
    .summary = "cut within a command of the stream, at a byte that the seed draws",
    .breaks = true,
    .by_wire = true,
    .strike = strike,
    .heal = heal,
};
