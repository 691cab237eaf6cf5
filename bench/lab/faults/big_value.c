/* One value is larger than the whole backlog: whether any of the history is left depends on how a server keeps it. */
#include "bench/lab/faults/faults.h"

#include "bench/lab/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int strike(struct scene *s, char why[256])
{
    size_t len = (size_t)s->settings.backlog_bytes + (size_t)s->settings.backlog_bytes / 2;
    char *value = malloc(len);
    if (!value) return -1;
    memset(value, 'b', len);
    proxy_cut(s->proxy);
    redisReply *r = instance_command(&s->master, "SET " LAB_KEY "big %b", value, len);
    bool good = r && r->type == REDIS_REPLY_STATUS;
    freeReplyObject(r);
    free(value);
    snprintf(why, 256, "the master takes no value of %zu bytes", len);
    return good ? 0 : -1;
}

const struct fault fault_big_value = {
    .name = "big-value",
    .summary = "cut, and one value of one and a half backlogs is written",
    .breaks = true,
    .strike = strike,
};
