/* Directives that ask for a part which is not there, and whose loss would cost data or security: refused, at the start
 * and by CONFIG SET, with the loss named. Server process.
 *
 * Every other directive without effect is accepted with a warning (DIR_NO_EFFECT), since a server on one thread is
 * still of use; one that lies open or comes back empty is not. A row goes when its part comes. */
#include "server/core/config/config_parts.h"

#include <string.h>

static const struct {
    const char *directive; /* refused with any value but its default */
    const char *loss;
} missing[] = {
    {"cluster-enabled",
     "cluster mode is not supported yet: this server would stand alone and take every key for its own"},
};

/* A server that finds it in its file starts all the same, with a warning. Who asks for it at run time waits for it. */
static const char *refused_at_run_time(const struct directive *d)
{
    bool defragments = strcmp(d->name, "activedefrag") == 0;
    return defragments ? "Active defragmentation cannot be enabled: nothing is moved in memory here" : NULL;
}

const char *config_missing_part(const struct config *c, const struct directive *d, bool at_start)
{
    if (directive_is_initial(c, d)) return NULL;
    if (!at_start && refused_at_run_time(d)) return refused_at_run_time(d);
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        if (strcmp(missing[i].directive, d->name) == 0) return missing[i].loss;
    }
    return NULL;
}
