/* What one element costs: commands that put it into a value of each type, find it there or take it away. First over
 * many values of ten elements and more, as a dataset has them; then in one value that everybody uses, where the
 * kernel's part in each request, the same for both servers, is what is left to see. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"

#include <stdio.h>

#define REQUESTS    500000
#define VALUES      100000
#define COUNTERS    1000000
#define MEMBERS     100000
#define NEW_MEMBERS 1000000000

static const struct fill {
    const char *format;
    long keys;
} fills[] = {
    {"RPUSH list:%012ld element:0 element:1 element:2 element:3 element:4 element:5 element:6 element:7 element:8 "
     "element:9",
     VALUES},
    {"SADD set:%012ld member:0 member:1 member:2 member:3 member:4 member:5 member:6 member:7 member:8 member:9",
     VALUES},
    {"HSET hash:%012ld field:0 value:0 field:1 value:1 field:2 value:2 field:3 value:3 field:4 value:4 field:5 value:5 "
     "field:6 value:6 field:7 value:7 field:8 value:8 field:9 value:9",
     VALUES},
    {"ZADD zset:%012ld 0 member:0 1 member:1 2 member:2 3 member:3 4 member:4 5 member:5 6 member:6 7 member:7 "
     "8 member:8 9 member:9",
     VALUES},
    {"XADD stream:%012ld * field value", VALUES},
    {"SET counter:%012ld 1", COUNTERS},
};

struct work {
    const char *name;
    long numbers; /* __rand_int__ is one of so many, anew wherever it stands */
    const char *command;
};

static const struct work over_many[] = {
    {"lpush", VALUES, "lpush list:__rand_int__ element"},
    {"rpop", VALUES, "rpop list:__rand_int__"}, /* as many as the row above has pushed */
    {"sadd", VALUES, "sadd set:__rand_int__ member:__rand_int__"},
    {"hset", VALUES, "hset hash:__rand_int__ field:5 value:__rand_int__"},
    {"hget", VALUES, "hget hash:__rand_int__ field:5"},
    {"zadd", VALUES, "zadd zset:__rand_int__ __rand_int__ member:5"},
    {"zscore", VALUES, "zscore zset:__rand_int__ member:5"},
    {"xadd", VALUES, "xadd stream:__rand_int__ * field value:__rand_int__"},
    {"incr", COUNTERS, "incr counter:__rand_int__"},
};

static const struct work in_one[] = {
    {"lpush", MEMBERS, "lpush list element:__rand_int__"},
    {"rpop", MEMBERS, "rpop list"},
    {"sadd.new", NEW_MEMBERS, "sadd newset element:__rand_int__"},
    {"sadd.there", MEMBERS, "sadd set element:__rand_int__"},
    {"hset.new", NEW_MEMBERS, "hset newhash element:__rand_int__ value:__rand_int__"},
    {"hset.there", MEMBERS, "hset hash element:__rand_int__ value:__rand_int__"},
    {"hget", MEMBERS, "hget hash element:__rand_int__"},
    {"zadd.new", NEW_MEMBERS, "zadd newzset __rand_int__ element:__rand_int__"},
    {"zadd.there", MEMBERS, "zadd zset __rand_int__ element:__rand_int__"},
    {"zscore", MEMBERS, "zscore zset element:__rand_int__"},
    {"xadd", MEMBERS, "xadd stream * field value:__rand_int__"},
};

static void measure(const struct bench *b, struct server *const *servers, const struct work *w, const char *where)
{
    char words[192], name[48];
    snprintf(words, sizeof words, "-c 50 -P 16 -r %ld %s", w->numbers, w->command);
    snprintf(name, sizeof name, "%s.%s.cpu", where, w->name);
    for (int round = 0; round < b->rounds; round++)
        for (int i = 0; i < b->count; i++)
            bench_add(b, i, name, "us/req", cpu_us_per_request(servers[i], REQUESTS, words));
}

void bench_types(const struct bench *b)
{
    struct server *servers[CONTESTANTS_MAX];
    for (int i = 0; i < b->count; i++) {
        servers[i] = start_on(SERVER_CPU, &b->servers[i], "");
        for (size_t k = 0; k < sizeof fills / sizeof *fills; k++)
            fill_each(servers[i], 0, fills[k].keys, fills[k].format);
    }
    for (size_t i = 0; i < sizeof over_many / sizeof *over_many; i++) measure(b, servers, &over_many[i], "many");
    for (size_t i = 0; i < sizeof in_one / sizeof *in_one; i++) measure(b, servers, &in_one[i], "one");
    for (int i = 0; i < b->count; i++) server_kill(servers[i]);
}
