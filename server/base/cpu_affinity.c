/* See cpu_affinity.h. Server process and snapshot child. */
#include "server/base/cpu_affinity.h"

#include <ctype.h>
#include <stdlib.h>

static struct {
    bool given;
    cpu_set_t set;
} places[CPU_ROLES];

static bool server_was_moved;
static cpu_set_t beginning; /* where the process was started; known once the server is moved */

static bool read_number(const char **at, long *out)
{
    char *end;
    if (!isdigit((unsigned char)**at)) return false;
    *out = strtol(*at, &end, 10);
    *at = end;
    return *out < CPU_SETSIZE;
}

static bool read_range(const char **at, cpu_set_t *out)
{
    long first, last, step = 1;
    if (!read_number(at, &first)) return false;
    last = first;
    if (**at == '-' && (++*at, !read_number(at, &last))) return false;
    if (**at == ':' && (++*at, !read_number(at, &step))) return false;
    if (last < first || step < 1) return false;
    for (long cpu = first; cpu <= last; cpu += step) CPU_SET((size_t)cpu, out);
    return true;
}

bool cpu_list_parse(const char *list, cpu_set_t *out)
{
    const char *at = list;
    CPU_ZERO(out);
    for (;;) {
        if (!read_range(&at, out)) return false;
        if (!*at) return true;
        if (*at++ != ',') return false;
    }
}

bool cpu_affinity_set(enum cpu_role role, const char *list)
{
    cpu_set_t set;
    if (!list || !*list) return true;
    if (!cpu_list_parse(list, &set)) return false;
    places[role].given = true;
    places[role].set = set;
    return true;
}

int cpu_affinity_enter(enum cpu_role role)
{
    if (role == CPU_SERVER && places[role].given && !server_was_moved)
        server_was_moved = sched_getaffinity(0, sizeof beginning, &beginning) == 0;
    if (places[role].given) return sched_setaffinity(0, sizeof places[role].set, &places[role].set);
    return role == CPU_WORKER && server_was_moved ? sched_setaffinity(0, sizeof beginning, &beginning) : 0;
}

void cpu_affinity_leave(cpu_set_t *before)
{
    if (!server_was_moved) return;
    sched_getaffinity(0, sizeof *before, before);
    sched_setaffinity(0, sizeof beginning, &beginning);
}

void cpu_affinity_return(const cpu_set_t *before)
{
    if (server_was_moved) sched_setaffinity(0, sizeof *before, before);
}
