/* How much of the machine there is for this process. */
#ifndef SLIPSTREAM_BASE_MACHINE_H
#define SLIPSTREAM_BASE_MACHINE_H

#include <stdint.h>

/* All of its memory, or what a control group leaves of it, or the process's own limit (ulimit). */
uint64_t machine_memory_bytes(void);

/* On how many processors the calling thread may run at once: those it is tied to (taskset, server_cpulist, a set of the
 * control group), or as many as the control group's share comes to. At least 1. */
unsigned machine_processors(void);

#endif
