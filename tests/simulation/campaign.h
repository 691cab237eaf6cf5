/* Many worlds, one after another, in as many processes as are wanted. */
#ifndef SLIPSTREAM_SIMULATION_CAMPAIGN_H
#define SLIPSTREAM_SIMULATION_CAMPAIGN_H

#include "tests/simulation/run.h"

struct campaign {
    uint64_t from, worlds; /* seeds */
    int64_t seconds;       /* no world begins after so many; 0: no limit */
    int jobs;
    enum mistake mistake;
    const char *keep; /* these faults alone, as plan_keep() reads them; NULL: all */
    bool verbose, shrink;
    bool until_failed; /* quietly, and no further */
};

struct sum {
    uint64_t worlds, failed, steps;
    int64_t node_ms, slowest_ms;
    struct tallies tallies;
    uint64_t last_seed; /* the last one that has failed */
    char failure[512];
};

/* Failures are printed as they come, with the shortest schedule found. */
struct sum campaign_run(const struct campaign *c);
void sum_add(struct sum *sum, const struct sum *more);
void sum_print(const struct sum *sum);

#endif
