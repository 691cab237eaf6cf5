/* The connection ends within the snapshot of a replica that had nothing; it has to begin again. */
#include "bench/lab/faults/faults.h"

#include "tests/harness/clock.h"

#include <stdio.h>
#include <unistd.h>

#define HANDSHAKE_BYTES 200 /* what a master says before the snapshot */
#define FIRST_BYTES     4096
#define CUT_BOUND_MS    10000

static int strike(struct scene *s, char why[256])
{
    char dump[400];
    snprintf(dump, sizeof dump, "%s/dump.rdb", s->replica.dir);
    proxy_cut(s->proxy);
    instance_kill(&s->replica);
    unlink(dump);
    proxy_heal(s->proxy);
    proxy_cut_after(s->proxy, HANDSHAKE_BYTES + s->settings.seed % FIRST_BYTES);
    s->replica.follows_port = proxy_port(s->proxy);
    if (scene_start_again(s, &s->replica, why) != 0) return -1;
    for (int64_t until_ms = clock_ms() + CUT_BOUND_MS; proxy_current_mode(s->proxy) != PROXY_CUT; sleep_us(500)) {
        snprintf(why, 256, "the snapshot is too small: the byte to cut at was never sent");
        if (clock_ms() > until_ms) return FAULT_NOT_HERE;
    }
    return 0;
}

const struct fault fault_cut_snapshot = {
    .name = "cut-snapshot",
    .summary = "an empty replica's full sync is cut, at a byte that the seed draws",
    .breaks = true,
    .strike = strike,
};
