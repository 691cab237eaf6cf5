/* See compare.h. What the lab writes are strings, so GET tells all of a key. */
#include "bench/lab/compare.h"

#include <stdio.h>
#include <string.h>

static bool digest(struct instance *i, char out[64])
{
    redisReply *r = instance_command(i, "DEBUG DIGEST");
    bool good = r && r->type == REDIS_REPLY_STATUS;
    if (good) snprintf(out, 64, "%s", r->str);
    freeReplyObject(r);
    return good;
}

static long long size_of(struct instance *i)
{
    redisReply *r = instance_command(i, "DBSIZE");
    long long size = r && r->type == REDIS_REPLY_INTEGER ? r->integer : -1;
    freeReplyObject(r);
    return size;
}

static bool same_key(struct instance *master, struct instance *replica, const redisReply *key)
{
    redisReply *a = instance_command(master, "GET %b", key->str, key->len);
    redisReply *b = instance_command(replica, "GET %b", key->str, key->len);
    bool same = a && b && a->type == b->type && a->len == b->len && (!a->len || memcmp(a->str, b->str, a->len) == 0);
    freeReplyObject(a);
    freeReplyObject(b);
    return same;
}

static bool same_keys(struct instance *master, struct instance *replica, char difference[160])
{
    char cursor[32] = "0";
    do {
        redisReply *r = instance_command(master, "SCAN %s COUNT 1000", cursor);
        if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 2) {
            freeReplyObject(r);
            snprintf(difference, 160, "the master's keys cannot be listed");
            return false;
        }
        snprintf(cursor, sizeof cursor, "%s", r->element[0]->str);
        for (size_t k = 0; k < r->element[1]->elements && !*difference; k++)
            if (!same_key(master, replica, r->element[1]->element[k]))
                snprintf(difference, 160, "key '%.100s' differs", r->element[1]->element[k]->str);
        freeReplyObject(r);
    } while (strcmp(cursor, "0") != 0 && !*difference);
    return !*difference;
}

bool same_data(struct instance *master, struct instance *replica, char difference[160])
{
    char a[64], b[64];
    *difference = '\0';
    if (size_of(master) != size_of(replica)) {
        snprintf(difference, 160, "the master has %lld keys, the replica %lld", size_of(master), size_of(replica));
        return false;
    }
    if (digest(master, a) && digest(replica, b) && strcmp(a, b) == 0) return true;
    return same_keys(master, replica, difference);
}
