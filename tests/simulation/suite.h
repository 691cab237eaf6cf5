/* What a test run asks of the simulator, and of the simulator's checks. */
#ifndef SLIPSTREAM_SIMULATION_SUITE_H
#define SLIPSTREAM_SIMULATION_SUITE_H

#include <stdint.h>

/* `worlds` in all: most of them always the same, a part from `seed` on. Prints Criterion's summary; how many failed. */
int suite_run(uint64_t worlds, uint64_t seed, int jobs);

#endif
