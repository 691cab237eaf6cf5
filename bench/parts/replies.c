/* What many elements in one reply cost. Unpipelined, most of it is the kernel's part and the same for both. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"
#include "tests/harness/client.h"
#include "tests/harness/fail.h"

#include <stdio.h>

static const struct work {
    const char *name, *command;
    long requests;
} works[] = {
    {"lrange-100", "lrange list 0 99", 150000}, {"lrange-600", "lrange list 0 599", 30000},
    {"zrange-100", "zrange zset 0 99", 150000}, {"hgetall-50", "hgetall hash", 150000},
    {"sinter-1000", "sinter set other", 16000}, {"sort-1000", "sort numbers", 8000},
};

static struct server *start_filled(const struct contestant *of)
{
    struct server *s = start_on(SERVER_CPU, of, "");
    fill_each(s, 0, 1000, "RPUSH list element:%012ld");
    fill_each(s, 0, 1000, "ZADD zset %ld element:%012ld");
    fill_each(s, 0, 50, "HSET hash field:%04ld value:%012ld");
    fill_each(s, 0, 1000, "SADD set element:%012ld");
    fill_each(s, 500, 1500, "SADD other element:%012ld");
    for (long i = 0; i < 1000; i++) expect_integer(s, i + 1, "RPUSH numbers %ld", i * 7919 % 1000003);
    return s;
}

static void measure(const struct bench *b, struct server *const *servers, const struct work *w, int pipeline)
{
    char words[128], name[64];
    snprintf(words, sizeof words, "-c 50 -P %d %s", pipeline, w->command);
    snprintf(name, sizeof name, "%s.p%d.cpu", w->name, pipeline);
    for (int round = 0; round < b->rounds; round++)
        for (int i = 0; i < b->count; i++)
            bench_add(b, i, name, "us/req", cpu_us_per_request(servers[i], w->requests, words));
}

void bench_replies(const struct bench *b)
{
    struct server *servers[CONTESTANTS_MAX];
    for (int i = 0; i < b->count; i++) servers[i] = start_filled(&b->servers[i]);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        measure(b, servers, &works[i], 16);
        measure(b, servers, &works[i], 1);
    }
    for (int i = 0; i < b->count; i++) server_kill(servers[i]);
}
