/* The parts of the program beside its throughput: each starts servers of its own, one kind after the other or all in
 * turn, adds its rows, and leaves nothing running. A part's servers are given a configuration file, so that what they
 * are started with is the same for all. */
#ifndef PARTS_PARTS_H
#define PARTS_PARTS_H

#include "bench/report/rows.h"
#include "bench/servers/contestant.h"

struct bench {
    const struct contestant *servers;
    int count, rounds;
    struct rows *rows;
    const char *part; /* that runs */
};

struct part {
    const char *name, *what;
    void (*run)(const struct bench *b);
};

extern const struct part parts[]; /* the last one has no name */

/* A sample of a row in which less is better. */
void bench_add(const struct bench *b, int server, const char *name, const char *unit, double value);
double bench_median(const struct bench *b, int server, const char *name); /* of a row that is there */

void bench_replicas(const struct bench *b);
void bench_memory(const struct bench *b);
void bench_reconnect(const struct bench *b);
void bench_storm(const struct bench *b);
void bench_scale(const struct bench *b);
void bench_types(const struct bench *b);
void bench_replies(const struct bench *b);
void bench_elements(const struct bench *b);
void bench_dataset(const struct bench *b);
void bench_aof(const struct bench *b);
void bench_scripts(const struct bench *b);
void bench_tls(const struct bench *b);
void bench_pause(const struct bench *b);
void bench_sentinel(const struct bench *b);
void bench_cores(const struct bench *b);

#endif
