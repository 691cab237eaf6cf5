/* What many elements in one reply cost. Unpipelined, most of it is the kernel's part and the same for both. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"
#include "tests/harness/client.h"
#include "tests/harness/fail.h"

#include <stdio.h>

#define AT_MOST 0.6

static const struct work {
    const char *name, *command;
    long requests;
} works[] = {
    {"LRANGE of 100", "lrange list 0 99", 150000},
    {"LRANGE of 600", "lrange list 0 599", 30000},
    {"ZRANGE of 100", "zrange zset 0 99", 150000},
    {"HGETALL of 50", "hgetall hash", 150000},
    {"SINTER of 1,000 with 1,000", "sinter set other", 16000},
    {"SORT of 1,000", "sort numbers", 8000},
};

static struct server *start_filled(enum server_kind kind)
{
    struct server *s = start_on(SERVER_CPU, kind, "");
    fill_each(s, 0, 1000, "RPUSH list element:%012ld");
    fill_each(s, 0, 1000, "ZADD zset %ld element:%012ld");
    fill_each(s, 0, 50, "HSET hash field:%04ld value:%012ld");
    fill_each(s, 0, 1000, "SADD set element:%012ld");
    fill_each(s, 500, 1500, "SADD other element:%012ld");
    for (long i = 0; i < 1000; i++) expect_integer(s, i + 1, "RPUSH numbers %ld", i * 7919 % 1000003);
    return s;
}

static void compare(struct server *ours, struct server *redis, const struct work *w, int pipeline, int rounds)
{
    struct samples ours_us = {0}, redis_us = {0};
    char arguments[128], name[64];
    snprintf(arguments, sizeof arguments, "-c 50 -P %d %s", pipeline, w->command);
    for (int round = 0; round < rounds; round++) {
        samples_add(&ours_us, cpu_us_per_request(ours, w->requests, arguments));
        samples_add(&redis_us, cpu_us_per_request(redis, w->requests, arguments));
    }
    if (pipeline == 1)
        snprintf(name, sizeof name, "%s, no pipeline", w->name);
    else
        snprintf(name, sizeof name, "%s, pipeline %d", w->name, pipeline);
    report_ratio(name, "us CPU", samples_median(&ours_us), samples_median(&redis_us), pipeline == 1 ? 0 : AT_MOST);
}

void bench_replies(int rounds)
{
    struct server *ours = start_filled(OURS), *redis = start_filled(DEBIAN);
    report_title("replies: 50 connections, medians of %d rounds", rounds);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        compare(ours, redis, &works[i], 16, rounds);
        compare(ours, redis, &works[i], 1, rounds);
    }
    server_kill(ours);
    server_kill(redis);
}
