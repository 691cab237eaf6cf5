/* The child that makes a replica's snapshot dies in the middle: nobody may take what came so far for a dataset. */
#include "bench/lab/faults/faults.h"

#include "tests/harness/clock.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define CHILDREN_MAX   16
#define CHILD_BOUND_MS 5000
#define KEY_DELAY_US   "200" /* so that there is a middle */

/* A child that was not there before; 0: none came. */
static pid_t wait_for_child(pid_t master, const pid_t *before, int count)
{
    pid_t now[CHILDREN_MAX];
    for (int64_t until_ms = clock_ms() + CHILD_BOUND_MS; clock_ms() < until_ms; sleep_us(500)) {
        int there = process_children(master, now, CHILDREN_MAX);
        for (int i = 0; i < there && i < CHILDREN_MAX; i++) {
            bool old = false;
            for (int k = 0; k < count && k < CHILDREN_MAX; k++) old |= now[i] == before[k];
            if (!old) return now[i];
        }
    }
    return 0;
}

static int strike(struct scene *s, char why[256])
{
    char dump[400];
    pid_t before[CHILDREN_MAX];
    int count = process_children(s->master.pid, before, CHILDREN_MAX);
    snprintf(dump, sizeof dump, "%s/dump.rdb", s->replica.dir);
    proxy_cut(s->proxy);
    instance_kill(&s->replica);
    unlink(dump);
    instance_set(&s->master, "rdb-key-save-delay", KEY_DELAY_US);
    proxy_heal(s->proxy);
    s->replica.follows_port = proxy_port(s->proxy);
    if (scene_start_again(s, &s->replica, why) != 0) return -1;
    pid_t child = wait_for_child(s->master.pid, before, count);
    if (child) kill(child, SIGKILL);
    proxy_cut(s->proxy);
    instance_set(&s->master, "rdb-key-save-delay", "0");
    snprintf(why, 256, "no child of this master was seen to make a snapshot");
    return child ? 0 : FAULT_NOT_HERE;
}

static int heal(struct scene *s, char why[256])
{
    (void)why;
    proxy_heal(s->proxy);
    return 0;
}

const struct fault fault_snapshot_killed = {
    .name = "snapshot-killed",
    .summary = "kill -9 for the child that makes an empty replica's snapshot",
    .breaks = true,
    .strike = strike,
    .heal = heal,
};
