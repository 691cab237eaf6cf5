/* See snapshot_child.h. */
#include "bench/lab/faults/snapshot_child.h"

#include "bench/lab/faults/faults.h"
#include "bench/lab/writer.h"
#include "tests/harness/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHILDREN_MAX     16
#define CHILD_BOUND_MS   5000
#define BACKLOGS_WRITTEN 16      /* some keep several of the size that they were told */
#define CHILD_LASTS_US   2000000 /* so that there is a middle, also when the replica takes its time to start */

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

/* A snapshot that is there already, and whose stream is still kept, could be sent again: the stream moves on. */
static int outdate(struct scene *s)
{
    size_t len = (size_t)s->settings.backlog_bytes / 2;
    char *value = malloc(len + 1);
    int good = 0;
    if (!value) return -1;
    memset(value, 'o', len);
    for (int i = 0; i < BACKLOGS_WRITTEN * 2; i++) {
        redisReply *r = instance_command(&s->master, "SET " LAB_KEY "old %b", value, len);
        good += r && r->type == REDIS_REPLY_STATUS;
        freeReplyObject(r);
    }
    free(value);
    return good == BACKLOGS_WRITTEN * 2 ? 0 : -1;
}

int snapshot_child_begin(struct scene *s, pid_t *child, char why[256])
{
    char dump[400], delay[24];
    pid_t before[CHILDREN_MAX];
    int count = process_children(s->master.pid, before, CHILDREN_MAX);
    snprintf(dump, sizeof dump, "%s/dump.rdb", s->replica.dir);
    proxy_cut(s->proxy);
    instance_kill(&s->replica);
    unlink(dump);
    snprintf(why, 256, "the master takes no values of half a backlog");
    if (outdate(s) != 0) return -1;
    snprintf(delay, sizeof delay, "%ld", CHILD_LASTS_US / s->settings.keys);
    instance_set(&s->master, "rdb-key-save-delay", delay);
    proxy_heal(s->proxy);
    s->replica.follows_port = proxy_port(s->proxy);
    if (scene_start_again(s, &s->replica, why) != 0) return -1;
    *child = wait_for_child(s->master.pid, before, count);
    snprintf(why, 256, "no child of this master was seen to make a snapshot");
    return *child ? 0 : FAULT_NOT_HERE;
}
