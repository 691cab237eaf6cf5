#include "tests/harness/sentinels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *sentinel_field(struct server *sentinel, const char *name)
{
    static char value[128];
    redisReply *r = command(sentinel, "SENTINEL MASTER mymaster");
    value[0] = '\0';
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements; i += 2)
        if (strcmp(r->element[i]->str, name) == 0) snprintf(value, sizeof value, "%s", r->element[i + 1]->str);
    freeReplyObject(r);
    return value;
}

bool sentinel_knows(struct server *sentinel, int replicas, int others)
{
    return atoi(sentinel_field(sentinel, "num-slaves")) == replicas &&
           atoi(sentinel_field(sentinel, "num-other-sentinels")) == others;
}

bool sentinel_has_quorum(struct server *sentinel)
{
    redisReply *r = command(sentinel, "SENTINEL CKQUORUM mymaster");
    bool has = r->type == REDIS_REPLY_STATUS;
    freeReplyObject(r);
    return has;
}

int sentinel_master_port(struct server *sentinel)
{
    redisReply *r = command(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster");
    int port = r->type == REDIS_REPLY_ARRAY && r->elements == 2 ? atoi(r->element[1]->str) : 0;
    freeReplyObject(r);
    return port;
}
