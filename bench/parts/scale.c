/* A GET among a hundred thousand keys, and among ten million: what the caches no longer hold must not cost too much. */
#include "bench/parts/load.h"
#include "bench/parts/parts.h"

#include <stdio.h>

#define FEW         100000L
#define MANY        10000000L
#define VALUE_BYTES 64
#define REQUESTS    1000000

static void measure(const struct bench *b, int server, struct server *s, const char *name, long keys)
{
    char words[64];
    snprintf(words, sizeof words, "-t get -c 50 -P 64 -r %ld", keys);
    for (int round = 0; round < b->rounds; round++)
        bench_add(b, server, name, "us/req", cpu_us_per_request(s, REQUESTS, words));
}

void bench_scale(const struct bench *b)
{
    for (int i = 0; i < b->count; i++) {
        struct server *s = start_on(SERVER_CPU, &b->servers[i], "");
        fill_keys(s, 0, FEW, VALUE_BYTES);
        measure(b, i, s, "get.100k-keys.cpu", FEW);
        fill_keys(s, FEW, MANY, VALUE_BYTES);
        measure(b, i, s, "get.10m-keys.cpu", MANY);
        bench_add(b, i, "get.10m-to-100k", "",
                  bench_median(b, i, "get.10m-keys.cpu") / bench_median(b, i, "get.100k-keys.cpu"));
        server_kill(s);
    }
}
