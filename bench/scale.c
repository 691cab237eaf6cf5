/* A GET among a hundred thousand keys, and among ten million: what the caches no longer hold must not cost too much. */
#include "bench/load.h"
#include "bench/parts.h"
#include "bench/report.h"

#include <stdio.h>

#define FEW         100000L
#define MANY        10000000L
#define VALUE_BYTES 64
#define REQUESTS    2000000

static double cpu_us_per_get(struct server *s, long keys, int rounds)
{
    struct samples cpu_us = {0};
    char arguments[128];
    snprintf(arguments, sizeof arguments, "-t get -c 50 -P 64 -r %ld", keys);
    for (int round = 0; round < rounds; round++) samples_add(&cpu_us, cpu_us_per_request(s, REQUESTS, arguments));
    return samples_median(&cpu_us);
}

static void measure(enum server_kind kind, int rounds, double *few_us, double *many_us)
{
    struct server *s = start_on(SERVER_CPU, kind, "");
    fill_keys(s, 0, FEW, VALUE_BYTES);
    *few_us = cpu_us_per_get(s, FEW, rounds);
    fill_keys(s, FEW, MANY, VALUE_BYTES);
    *many_us = cpu_us_per_get(s, MANY, rounds);
    server_kill(s);
}

void bench_scale(int rounds)
{
    double ours_few, ours_many, redis_few, redis_many;
    measure(OURS, rounds, &ours_few, &ours_many);
    measure(DEBIAN, rounds, &redis_few, &redis_many);
    report_title("scale: GET, pipeline 64, values of %d bytes, medians of %d rounds", VALUE_BYTES, rounds);
    report_ratio("100 thousand keys", "us CPU", ours_few, redis_few, 0);
    report_ratio("10 million keys", "us CPU", ours_many, redis_many, 0);
    report_bound("10 million / 100 thousand", "", ours_many / ours_few, redis_many / redis_few, 1.5);
}
