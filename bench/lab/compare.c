/* See compare.h. A pair that runs already may have values of every type, so a key is compared by its DUMP, and where
 * that differs by what it holds. */
#include "bench/lab/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUMP_END 10 /* bytes: the version, the checksum */

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

/* --- one key --- */

/* A DUMP ends with its format's version and a checksum, which differ among servers. */
static bool same_dump(const redisReply *a, const redisReply *b)
{
    return a && b && a->type == REDIS_REPLY_STRING && b->type == REDIS_REPLY_STRING && a->len == b->len &&
           a->len >= DUMP_END && memcmp(a->str, b->str, a->len - DUMP_END) == 0;
}

static int by_bytes(const void *a, const void *b)
{
    const redisReply *x = *(redisReply *const *)a, *y = *(redisReply *const *)b;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = len ? memcmp(x->str, y->str, len) : 0;
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static bool same_reply(const redisReply *a, const redisReply *b)
{
    if (!a || !b || a->type != b->type || a->type == REDIS_REPLY_ERROR || a->elements != b->elements) return false;
    for (size_t i = 0; i < a->elements; i++)
        if (!same_reply(a->element[i], b->element[i])) return false;
    return a->integer == b->integer && a->len == b->len && (!a->len || memcmp(a->str, b->str, a->len) == 0);
}

/* How values of a type are read; the reply is of `width` elements each, in no order where `sorted` says so. */
static const struct reading {
    const char *type, *command;
    size_t width;
    bool sorted;
} readings[] = {
    {"string", "GET %b", 1, false},
    {"list", "LRANGE %b 0 -1", 1, false},
    {"set", "SMEMBERS %b", 1, true},
    {"hash", "HGETALL %b", 2, true},
    {"zset", "ZRANGE %b 0 -1 WITHSCORES", 2, false},
    {"stream", "XRANGE %b - +", 1, false},
};

static redisReply *read_value(struct instance *i, const struct reading *how, const redisReply *key)
{
    redisReply *r = instance_command(i, how->command, key->str, key->len);
    if (r && r->type == REDIS_REPLY_ARRAY && how->sorted)
        qsort(r->element, r->elements / how->width, how->width * sizeof *r->element, by_bytes);
    return r;
}

/* The same value may be dumped in other ways, by servers of other versions or where it has grown otherwise: then what
 * it holds is asked for. Of a module's types only the dump is known. */
static bool same_contents(struct instance *master, struct instance *replica, const redisReply *key)
{
    bool same = false;
    redisReply *type = instance_command(master, "TYPE %b", key->str, key->len);
    for (size_t i = 0; type && type->type == REDIS_REPLY_STATUS && i < sizeof readings / sizeof *readings; i++) {
        if (strcmp(type->str, readings[i].type) != 0) continue;
        redisReply *a = read_value(master, &readings[i], key), *b = read_value(replica, &readings[i], key);
        same = same_reply(a, b);
        freeReplyObject(a);
        freeReplyObject(b);
    }
    freeReplyObject(type);
    return same;
}

static bool same_key(struct instance *master, struct instance *replica, const redisReply *key)
{
    redisReply *a = instance_command(master, "DUMP %b", key->str, key->len);
    redisReply *b = instance_command(replica, "DUMP %b", key->str, key->len);
    bool same = same_dump(a, b) || same_contents(master, replica, key);
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
