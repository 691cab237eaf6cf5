/* See machine_memory.h. Server process.
 *
 * A line of /proc/self/cgroup is "number:controllers:path" (cgroups(7)): no controllers in version 2, whose groups have
 * memory.max; "memory" in version 1, with a hierarchy of its own and memory.limit_in_bytes. Each group above holds as
 * well. In a container the path may be the one outside, and what is mounted the container's own group: a file that is
 * not there says nothing, and the walk ends at the top, which is there. */
#include "server/base/machine_memory.h"

#include "server/base/alloc.h"
#include "server/base/file.h"
#include "server/base/number.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PATH_BYTES 1024 /* of a group; one with a longer name is not looked at */

struct hierarchy {
    const char *folder, *file;
};

static const struct hierarchy version_1 = {"/memory", "memory.limit_in_bytes"}, version_2 = {"", "memory.max"};

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* "max" and what cannot be read: no limit. */
static uint64_t read_limit(const char *path)
{
    uint8_t *text;
    size_t len;
    uint64_t bytes;
    if (file_read_whole(path, &text, &len)) return UINT64_MAX;
    while (len && text[len - 1] == '\n') len--;
    if (parse_u64(bytes_make(text, len), &bytes)) bytes = UINT64_MAX;
    mem_free(text);
    return bytes;
}

/* Of the group and of each above it. */
static uint64_t lowest_limit(const char *mount, const struct hierarchy *h, const char *group)
{
    uint64_t lowest = UINT64_MAX;
    for (size_t len = strlen(group);; len--) {
        char path[PATH_BYTES + PATH_MAX];
        bool ends_a_name = !len || group[len] == '/' || !group[len];
        if (!ends_a_name) continue;
        snprintf(path, sizeof path, "%s%s%.*s/%s", mount, h->folder, (int)len, group, h->file);
        lowest = lower(lowest, read_limit(path));
        if (!len) return lowest;
    }
}

static uint64_t limit_of_line(const char *mount, char *line)
{
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group || strlen(group + 1) >= PATH_BYTES) return UINT64_MAX;
    controllers++;
    *group++ = 0;
    if (!*controllers) return lowest_limit(mount, &version_2, group);
    for (char *rest, *name = strtok_r(controllers, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
        if (strcmp(name, "memory") == 0) return lowest_limit(mount, &version_1, group);
    return UINT64_MAX;
}

uint64_t control_group_memory_bytes(const char *mount, const char *membership)
{
    uint8_t *text;
    size_t len;
    uint64_t lowest = UINT64_MAX;
    if (file_read_whole(membership, &text, &len)) return UINT64_MAX;
    for (char *rest, *line = strtok_r((char *)text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        lowest = lower(lowest, limit_of_line(mount, line));
    mem_free(text);
    return lowest;
}

static uint64_t own_limit(int resource)
{
    struct rlimit limit;
    return getrlimit(resource, &limit) || limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

uint64_t machine_memory_bytes(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t group = control_group_memory_bytes("/sys/fs/cgroup", "/proc/self/cgroup");
    return lower(lower(machine, group), lower(own_limit(RLIMIT_AS), own_limit(RLIMIT_DATA)));
}
