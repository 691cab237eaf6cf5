/* What one element costs: commands that put it into a value of each type, find it there or take it away. First over
 * many values of ten elements and more, as a dataset has them; then in one value that everybody uses, where the
 * kernel's part in each request, the same for both servers, is what is left to see. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"

#include <stdio.h>

#define REQUESTS    500000
#define AT_MOST     0.5
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
    {"LPUSH", VALUES, "lpush list:__rand_int__ element"},
    {"RPOP", VALUES, "rpop list:__rand_int__"}, /* as many as the row above has pushed */
    {"SADD", VALUES, "sadd set:__rand_int__ member:__rand_int__"},
    {"HSET", VALUES, "hset hash:__rand_int__ field:5 value:__rand_int__"},
    {"HGET", VALUES, "hget hash:__rand_int__ field:5"},
    {"ZADD", VALUES, "zadd zset:__rand_int__ __rand_int__ member:5"},
    {"ZSCORE", VALUES, "zscore zset:__rand_int__ member:5"},
    {"XADD", VALUES, "xadd stream:__rand_int__ * field value:__rand_int__"},
    {"INCR", COUNTERS, "incr counter:__rand_int__"},
};

static const struct work in_one[] = {
    {"LPUSH", MEMBERS, "lpush list element:__rand_int__"},
    {"RPOP", MEMBERS, "rpop list"},
    {"SADD, new members", NEW_MEMBERS, "sadd newset element:__rand_int__"},
    {"SADD, members that are there", MEMBERS, "sadd set element:__rand_int__"},
    {"HSET, new fields", NEW_MEMBERS, "hset newhash element:__rand_int__ value:__rand_int__"},
    {"HSET, fields that are there", MEMBERS, "hset hash element:__rand_int__ value:__rand_int__"},
    {"HGET", MEMBERS, "hget hash element:__rand_int__"},
    {"ZADD, new members", NEW_MEMBERS, "zadd newzset __rand_int__ element:__rand_int__"},
    {"ZADD, members that are there", MEMBERS, "zadd zset __rand_int__ element:__rand_int__"},
    {"ZSCORE", MEMBERS, "zscore zset element:__rand_int__"},
    {"XADD", MEMBERS, "xadd stream * field value:__rand_int__"},
};

static void compare(struct server *ours, struct server *redis, const struct work *w, int rounds, double at_most)
{
    struct samples ours_us = {0}, redis_us = {0};
    char arguments[192];
    snprintf(arguments, sizeof arguments, "-c 50 -P 16 -r %ld %s", w->numbers, w->command);
    for (int round = 0; round < rounds; round++) {
        samples_add(&ours_us, cpu_us_per_request(ours, REQUESTS, arguments));
        samples_add(&redis_us, cpu_us_per_request(redis, REQUESTS, arguments));
    }
    report_ratio(w->name, "us CPU", samples_median(&ours_us), samples_median(&redis_us), at_most);
}

void bench_types(int rounds)
{
    struct server *ours = start_on(SERVER_CPU, OURS, ""), *redis = start_on(SERVER_CPU, DEBIAN, "");
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) {
        fill_each(ours, 0, fills[i].keys, fills[i].format);
        fill_each(redis, 0, fills[i].keys, fills[i].format);
    }
    report_title("types: pipeline 16, 50 connections, medians of %d rounds; over %d values of each type", rounds,
                 VALUES);
    for (size_t i = 0; i < sizeof over_many / sizeof *over_many; i++)
        compare(ours, redis, &over_many[i], rounds, AT_MOST);
    report_title("types: the same in one value, without a target");
    for (size_t i = 0; i < sizeof in_one / sizeof *in_one; i++) compare(ours, redis, &in_one[i], rounds, 0);
    server_kill(ours);
    server_kill(redis);
}
