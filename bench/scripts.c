/* What a script costs: its call, the calls inside it, and plain computation, beside Debian's server, whose Lua is that of
 * Redis. Scripts and functions are loaded first, as clients do that run them by their digest. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "tests/harness/client.h"

#include <stdio.h>

#define CALL_AT_MOST        0.45
#define COMPUTATION_AT_MOST 0.5

/* A window of requests per caller, as rate limiters count them: five calls and some arithmetic. */
#define RATE_LIMITER                                                                                                   \
    "local count = redis.call('INCR', KEYS[1]) "                                                                       \
    "if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end "                                                   \
    "local left_s = redis.call('TTL', KEYS[1]) "                                                                       \
    "redis.call('HINCRBY', KEYS[2], 'requests', 1) "                                                                   \
    "local limit = tonumber(ARGV[2]) local left = limit - count if left < 0 then left = 0 end "                        \
    "redis.call('HSET', KEYS[2], 'left', left) "                                                                       \
    "local requests = redis.call('HGET', KEYS[2], 'requests') "                                                        \
    "return {left, left_s, math.floor(left_s * 1000 / (left + 1)), requests}"

static const struct work {
    const char *name, *script;
    const char *arguments; /* behind the digest or the function's name */
    long requests;
    int pipeline;
    double at_most;
} works[] = {
    {"one GET", "return redis.call('get', KEYS[1])", "1 key:__rand_int__", 400000, 16, CALL_AT_MOST},
    {"a rate limiter", RATE_LIMITER, "2 count:__rand_int__ user:__rand_int__ 60 1000000000", 150000, 16, CALL_AT_MOST},
    {"a loop of a million steps", "local sum = 0 for i = 1, 1000000 do sum = sum + i end return sum", "0", 100, 1,
     COMPUTATION_AT_MOST},
    {"strings and tables",
     "local t = {} for i = 1, 1000 do t[i] = string.format('%05d', i) end table.sort(t, function(a, b) return a > b end) "
     "return #table.concat(t, ',')",
     "0", 1000, 1, 0},
};

static void compare(struct server *ours, struct server *redis, const char *name, const struct work *w,
                    const char *command, int rounds)
{
    struct samples ours_us = {0}, redis_us = {0};
    char arguments[256], title[96];
    snprintf(arguments, sizeof arguments, "-c %d -P %d -r 100000 %s %s", w->pipeline > 1 ? 50 : 1, w->pipeline, command,
             w->arguments);
    for (int round = 0; round < rounds; round++) {
        samples_add(&ours_us, cpu_us_per_request(ours, w->requests, arguments));
        samples_add(&redis_us, cpu_us_per_request(redis, w->requests, arguments));
    }
    snprintf(title, sizeof title, "%s: %s", name, w->name);
    report_ratio(title, "us CPU", samples_median(&ours_us), samples_median(&redis_us), w->at_most);
}

static void compare_scripts(struct server *ours, struct server *redis, int rounds)
{
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        char command[64];
        command_text(redis, "SCRIPT LOAD %s", works[i].script);
        snprintf(command, sizeof command, "evalsha %s", command_text(ours, "SCRIPT LOAD %s", works[i].script));
        compare(ours, redis, "EVALSHA", &works[i], command, rounds);
    }
}

static void compare_functions(struct server *ours, struct server *redis, int rounds)
{
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        char source[2048], command[32];
        snprintf(source, sizeof source,
                 "#!lua name=bench%zu\nredis.register_function('work%zu', function(KEYS, ARGV) %s end)", i, i,
                 works[i].script);
        command_text(ours, "FUNCTION LOAD %s", source);
        command_text(redis, "FUNCTION LOAD %s", source);
        snprintf(command, sizeof command, "fcall work%zu", i);
        compare(ours, redis, "FCALL", &works[i], command, rounds);
    }
}

void bench_scripts(int rounds)
{
    struct server *ours = start_on(SERVER_CPU, OURS, ""), *redis = start_on(SERVER_CPU, DEBIAN, "");
    fill_keys(ours, 0, 100000, 64);
    fill_keys(redis, 0, 100000, 64);
    report_title("scripts: CPU per call, medians of %d rounds; calls at pipeline 16, computations one by one", rounds);
    compare_scripts(ours, redis, rounds);
    compare_functions(ours, redis, rounds);
    server_kill(ours);
    server_kill(redis);
}
