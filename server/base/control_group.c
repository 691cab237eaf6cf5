/* See control_group.h. Server process.
 *
 * A line of /proc/self/cgroup is "number:controllers:path" (cgroups(7)): no controllers in version 2, whose groups have
 * memory.max and cpu.max; "memory" or "cpu" in version 1, with a hierarchy of its own for each and other files. Each
 * group above holds as well. In a container the path may be the one outside, and what is mounted the container's own
 * group: a file that is not there says nothing, and the walk ends at the top, which is there. */
#include "server/base/control_group.h"

#include "server/base/alloc.h"
#include "server/base/file.h"
#include "server/base/number.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES 1024 /* of a group; one with a longer name is not looked at */

/* Each reads a group's own limit from its folder; UINT64_MAX: it has none. */
struct resource {
    const char *controller; /* of version 1 */
    uint64_t (*version_1)(const char *folder);
    uint64_t (*version_2)(const char *folder);
};

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Exactly so many numbers; "max" and -1 are none. */
static bool parse_numbers(char *text, uint64_t *numbers, unsigned count)
{
    unsigned read = 0;
    for (char *rest, *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest), read++)
        if (read == count || parse_u64(bytes_make(word, strlen(word)), &numbers[read])) return false;
    return read == count;
}

/* UINT64_MAX, each, where the file is not there or says something else. */
static void read_numbers(const char *folder, const char *file, uint64_t *numbers, unsigned count)
{
    char path[PATH_BYTES + PATH_MAX];
    uint8_t *text = NULL;
    size_t len;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    if (file_read_whole(path, &text, &len) || !parse_numbers((char *)text, numbers, count))
        for (unsigned i = 0; i < count; i++) numbers[i] = UINT64_MAX;
    mem_free(text);
}

/* --- memory --- */

static uint64_t memory_1(const char *folder)
{
    uint64_t bytes;
    read_numbers(folder, "memory.limit_in_bytes", &bytes, 1);
    return bytes;
}

static uint64_t memory_2(const char *folder)
{
    uint64_t bytes;
    read_numbers(folder, "memory.max", &bytes, 1);
    return bytes;
}

static const struct resource memory = {"memory", memory_1, memory_2};

/* --- processors: so much of their time in each period --- */

static uint64_t processors(uint64_t quota_us, uint64_t period_us)
{
    if (quota_us == UINT64_MAX || period_us == UINT64_MAX || !quota_us || !period_us) return UINT64_MAX;
    return (quota_us - 1) / period_us + 1;
}

static uint64_t cpu_1(const char *folder)
{
    uint64_t quota_us, period_us;
    read_numbers(folder, "cpu.cfs_quota_us", &quota_us, 1);
    read_numbers(folder, "cpu.cfs_period_us", &period_us, 1);
    return processors(quota_us, period_us);
}

static uint64_t cpu_2(const char *folder)
{
    uint64_t quota_and_period_us[2];
    read_numbers(folder, "cpu.max", quota_and_period_us, 2);
    return processors(quota_and_period_us[0], quota_and_period_us[1]);
}

static const struct resource cpu = {"cpu", cpu_1, cpu_2};

/* --- the walk --- */

/* Of the group and of each above it. */
static uint64_t lowest_of_path(const char *top, const char *group, uint64_t (*read)(const char *folder))
{
    uint64_t lowest = UINT64_MAX;
    for (size_t len = strlen(group);; len--) {
        char folder[PATH_BYTES + PATH_MAX];
        bool ends_a_name = !len || group[len] == '/' || !group[len];
        if (!ends_a_name) continue;
        snprintf(folder, sizeof folder, "%s%.*s", top, (int)len, group);
        lowest = lower(lowest, read(folder));
        if (!len) return lowest;
    }
}

static uint64_t lowest_of_line(const char *mount, char *line, const struct resource *r)
{
    char top[PATH_MAX], *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group || strlen(group + 1) >= PATH_BYTES) return UINT64_MAX;
    controllers++;
    *group++ = 0;
    if (!*controllers) return lowest_of_path(mount, group, r->version_2);
    snprintf(top, sizeof top, "%s/%s", mount, r->controller);
    for (char *rest, *name = strtok_r(controllers, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
        if (strcmp(name, r->controller) == 0) return lowest_of_path(top, group, r->version_1);
    return UINT64_MAX;
}

static uint64_t lowest(const char *mount, const char *membership, const struct resource *r)
{
    uint8_t *text;
    size_t len;
    uint64_t lowest = UINT64_MAX;
    if (file_read_whole(membership, &text, &len)) return UINT64_MAX;
    for (char *rest, *line = strtok_r((char *)text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        lowest = lower(lowest, lowest_of_line(mount, line, r));
    mem_free(text);
    return lowest;
}

uint64_t control_group_memory_bytes(const char *mount, const char *membership)
{
    return lowest(mount, membership, &memory);
}

uint64_t control_group_processors(const char *mount, const char *membership)
{
    return lowest(mount, membership, &cpu);
}
