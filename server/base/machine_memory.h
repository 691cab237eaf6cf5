/* How much memory there is for this process: all of the machine's, or what its control group leaves of it, which is
 * what the memory limit of a container or pod comes to, or its own limit (ulimit). */
#ifndef SLIPSTREAM_BASE_MACHINE_MEMORY_H
#define SLIPSTREAM_BASE_MACHINE_MEMORY_H

#include <stdint.h>

uint64_t machine_memory_bytes(void);

/* The lowest limit of the groups that the file `membership` (/proc/self/cgroup) names, as they stand below `mount`
 * (/sys/fs/cgroup). UINT64_MAX: none is known. */
uint64_t control_group_memory_bytes(const char *mount, const char *membership);

#endif
