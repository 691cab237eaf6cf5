/* The part that drives servers with requests: how many, how fast answered, and at what cost. */
#ifndef PROGRAM_THROUGHPUT_H
#define PROGRAM_THROUGHPUT_H

#include "bench/load/sizes.h"
#include "bench/program/schedule.h"
#include "bench/report/rows.h"
#include "bench/servers/contestant.h"

#include <stdint.h>

#define REQUESTS_MAX  16
#define PIPELINES_MAX 8

struct throughput_plan {
    const char *requests[REQUESTS_MAX]; /* see mix_add(): one mix; none: SET and GET, each by itself */
    int request_count;
    int pipelines[PIPELINES_MAX], pipeline_count;
    const char *distribution, *sizes; /* of keys and of values: see keys_parse() and sizes_parse() */
    long keys;
    int connections, rounds;
    double rate_per_s; /* 0: closed loop */
    int duration_ms, warm_up_ms;
    enum schedule schedule; /* what happens in the middle of each round */
    uint64_t seed;
};

/* Fills the servers, which run, and measures them in turn, round by round. 0, or -1: `error` says why. */
int throughput_run(const struct throughput_plan *plan, struct instance *servers, struct instance *replicas, int count,
                   struct rows *rows, char error[512]);

#endif
