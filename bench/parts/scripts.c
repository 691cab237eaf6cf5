/* What a script costs: its call, the calls inside it, and plain computation, beside Debian's server, whose Lua is that
 * of Redis. Scripts and functions are loaded first, as clients do that run them by their digest. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
#include "tests/harness/client.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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
} works[] = {
    {"get", "return redis.call('get', KEYS[1])", "1 key:__rand_int__", 400000, 16},
    {"rate-limiter", RATE_LIMITER, "2 count:__rand_int__ user:__rand_int__ 60 1000000000", 150000, 16},
    {"loop", "local sum = 0 for i = 1, 1000000 do sum = sum + i end return sum", "0", 100, 1},
    {"strings-and-tables",
     "local t = {} for i = 1, 1000 do t[i] = string.format('%05d', i) end "
     "table.sort(t, function(a, b) return a > b end) return #table.concat(t, ',')",
     "0", 1000, 1},
};

static void measure(const struct bench *b, struct server *const *servers, const struct work *w, const char *command)
{
    char words[256], name[64];
    snprintf(words, sizeof words, "-c %d -P %d -r 100000 %s %s", w->pipeline > 1 ? 50 : 1, w->pipeline, command,
             w->arguments);
    snprintf(name, sizeof name, "%.*s.%s.cpu", (int)strcspn(command, " "), command, w->name);
    for (int round = 0; round < b->rounds; round++)
        for (int i = 0; i < b->count; i++)
            bench_add(b, i, name, "us/req", cpu_us_per_request(servers[i], w->requests, words));
}

static void measure_script(const struct bench *b, struct server *const *servers, const struct work *w)
{
    char command[64];
    for (int i = 0; i < b->count; i++)
        snprintf(command, sizeof command, "evalsha %s", command_text(servers[i], "SCRIPT LOAD %s", w->script));
    measure(b, servers, w, command);
}

static void measure_function(const struct bench *b, struct server *const *servers, const struct work *w, size_t number)
{
    char source[2048], command[32];
    snprintf(source, sizeof source,
             "#!lua name=bench%zu\nredis.register_function('work%zu', function(KEYS, ARGV) %s end)", number, number,
             w->script);
    for (int i = 0; i < b->count; i++) command_text(servers[i], "FUNCTION LOAD %s", source);
    snprintf(command, sizeof command, "fcall work%zu", number);
    measure(b, servers, w, command);
}

/* Functions came with Redis 7. */
static bool has_functions(const struct bench *b, struct server *const *servers)
{
    bool all = true;
    for (int i = 0; i < b->count; i++) {
        redisReply *r = command(servers[i], "FUNCTION LIST");
        all &= r->type != REDIS_REPLY_ERROR;
        freeReplyObject(r);
    }
    return all;
}

void bench_scripts(const struct bench *b)
{
    struct server *servers[CONTESTANTS_MAX];
    for (int i = 0; i < b->count; i++) {
        servers[i] = start_on(SERVER_CPU, &b->servers[i], "");
        fill_keys(servers[i], 0, 100000, 64);
    }
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) measure_script(b, servers, &works[i]);
    for (size_t i = 0; i < sizeof works / sizeof *works && has_functions(b, servers); i++)
        measure_function(b, servers, &works[i], i);
    for (int i = 0; i < b->count; i++) server_kill(servers[i]);
}
