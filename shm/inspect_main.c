/* Backlogs found by port or by name, and shown. Inspecting tool, a process of its own. */
#include "shm/inspect.h"

#include "server/base/alloc.h"
#include "server/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_BYTES 320 /* a name in a file system is shorter */

struct names {
    char **list;
    size_t count;
};

static void collect(void *context, const char *name)
{
    struct names *names = context;
    names->list = mem_realloc(names->list, (names->count + 1) * sizeof(*names->list));
    names->list[names->count++] = mem_strdup(name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) mem_free(names->list[i]);
    mem_free(names->list);
}

/* A number is a port, and anything else a name, with or without the leading slash; NULL: all. */
static int find(const char *wanted, struct names *names)
{
    char prefix[PREFIX_BYTES];
    if (!wanted) return region_each(SHM_NAME_PREFIX, collect, names);
    if (strspn(wanted, "0123456789") == strlen(wanted)) {
        snprintf(prefix, sizeof(prefix), SHM_NAME_PREFIX "%s-", wanted);
        return region_each(prefix, collect, names);
    }
    snprintf(prefix, sizeof(prefix), "%s%s", wanted[0] == '/' ? "" : "/", wanted);
    collect(names, prefix);
    return 0;
}

static int complain(const char *name, const char *why)
{
    fprintf(stderr, "%s: %s\n", name, why);
    return 1;
}

static int show(const char *name, bool behind_another)
{
    struct region r;
    struct inspection i;
    if (region_open(&r, name) != 0) return complain(name, errno == EPROTO ? "an empty object" : strerror(errno));
    enum inspect_verdict verdict = inspect_read(&r, &i);
    region_unmap(&r);
    if (verdict == INSPECT_NO_BACKLOG)
        return complain(name, "not a backlog, or one that its server had not finished making");
    if (verdict == INSPECT_OTHER_VERSION) {
        fprintf(stderr, "%s: its layout has version %u, and this program knows version %d alone\n", name, i.version,
                SHM_VERSION);
        return 1;
    }
    struct inspect_surroundings around = {.name = name, .owner = owner_of_name(name), .now_ms = clock_monotonic_ms()};
    around.memory_bytes = region_family_memory(name, &around.objects);
    if (behind_another) putchar('\n');
    inspect_print(&i, &around, stdout);
    return 0;
}

int inspect_main(int argc, char **argv)
{
    struct names names = {0};
    if (argc > 3) return complain(argv[1], "takes one port or name, or nothing");
    if (find(argc > 2 ? argv[2] : NULL, &names) != 0) return complain("shared memory", strerror(errno));
    if (names.count == 0)
        return complain(argc > 2 ? argv[2] : argv[1],
                        "no backlog is found. A server has one from its first replica on, and one in memory without a "
                        "name (its log says so) cannot be seen from outside");
    int status = 0, shown = 0;
    qsort(names.list, names.count, sizeof(*names.list), by_name);
    for (size_t i = 0; i < names.count; i++) {
        if (show(names.list[i], shown > 0) == 0)
            shown++;
        else
            status = 1;
    }
    free_names(&names);
    return status;
}
