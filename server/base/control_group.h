/* What the control groups of this process leave it of the machine, which is what the limits of a container or pod come
 * to. */
#ifndef SLIPSTREAM_BASE_CONTROL_GROUP_H
#define SLIPSTREAM_BASE_CONTROL_GROUP_H

#include <stdint.h>

/* The lowest limits of the groups that the file `membership` (/proc/self/cgroup) names, as they stand below `mount`
 * (/sys/fs/cgroup). UINT64_MAX: none is known. */
uint64_t control_group_memory_bytes(const char *mount, const char *membership);
uint64_t control_group_processors(const char *mount, const char *membership); /* a part of one counts as one */

#define CONTROL_GROUP_MOUNT      "/sys/fs/cgroup"
#define CONTROL_GROUP_MEMBERSHIP "/proc/self/cgroup"

#endif
