/* See machine.h. Server process. */
#include "server/base/machine.h"

#include "server/base/control_group.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t own_limit(int resource)
{
    struct rlimit limit;
    return getrlimit(resource, &limit) || limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

uint64_t machine_memory_bytes(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t group = control_group_memory_bytes(CONTROL_GROUP_MOUNT, CONTROL_GROUP_MEMBERSHIP);
    return lower(lower(machine, group), lower(own_limit(RLIMIT_AS), own_limit(RLIMIT_DATA)));
}

/* More than a cpu_set_t has room for: sched_getaffinity() refuses, and all that there are count. */
static uint64_t allowed_processors(void)
{
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) == 0) return (uint64_t)CPU_COUNT(&mine);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint64_t)online : 1;
}

unsigned machine_processors(void)
{
    uint64_t group = control_group_processors(CONTROL_GROUP_MOUNT, CONTROL_GROUP_MEMBERSHIP);
    return (unsigned)lower(allowed_processors(), group);
}
