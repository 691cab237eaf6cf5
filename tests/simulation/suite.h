/* What a test run asks of the simulator, and of the simulator's checks. */
#ifndef SLIPSTREAM_SIMULATION_SUITE_H
#define SLIPSTREAM_SIMULATION_SUITE_H

#include <stdint.h>

/* So many worlds, the same ones each time. Prints Criterion's summary; how many failed. */
int suite_run(uint64_t worlds, int jobs);

#endif
