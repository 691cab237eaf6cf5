/* A world from its beginning to its end. */
#ifndef SLIPSTREAM_SIMULATION_RUN_H
#define SLIPSTREAM_SIMULATION_RUN_H

#include "tests/simulation/checks.h"
#include "tests/simulation/plan.h"

struct outcome {
    bool failed;
    char failure[512];
    uint64_t step, steps, digest;
    int64_t failed_ms;
    int64_t node_ms;   /* lived by all nodes together */
    int64_t healed_ms; /* after the last fault */
    struct tallies tallies;
};

void run_world(const struct plan *plan, bool verbose, struct outcome *out);
/* Fewer faults that still fail for a reason of the same kind. */
void shrink_plan(const struct plan *plan, struct plan *out);

#endif
