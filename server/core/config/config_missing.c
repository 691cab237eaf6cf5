/* Directives that ask for a part which is not there, and whose loss would cost data or security: refused, at the start
 * and by CONFIG SET, with the loss named. Server process.
 *
 * Every other directive without effect is accepted with a warning (DIR_NO_EFFECT), since a server on one thread is
 * still of use; one that lies open or comes back empty is not. A row goes when its part comes. */
#include "server/core/config/config_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static const char *text_of(const struct config *c, const char *name)
{
    const struct directive *d = directive_find(bytes_from_text(name));
    const char *text = *(char *const *)directive_place(c, d);
    return text ? text : "";
}

/* A file that we may not look at is one all the same. */
static bool exists(const char *path)
{
    return access(path, F_OK) == 0 || errno == EACCES;
}

/* In `dir`, which is the working directory: the form of Redis 7, or the single file of older ones. */
static bool append_only_file_exists(const struct config *c)
{
    char manifest[PATH_MAX];
    const char *name = text_of(c, "appendfilename");
    snprintf(manifest, sizeof manifest, "%s/%s.manifest", text_of(c, "appenddirname"), name);
    return exists(manifest) || exists(name);
}

static const struct {
    const char *directive;                 /* refused with any value but its default */
    bool (*hurts)(const struct config *c); /* ... and only then; NULL: always */
    const char *loss;
} missing[] = {
    {"appendonly", append_only_file_exists,
     "there is an append only file, and this server can't load one yet: it would come up without that data"},
    {"cluster-enabled", NULL,
     "cluster mode is not supported yet: this server would stand alone and take every key for its own"},
    {"tls-port", NULL, "TLS is not supported yet: nothing would listen on that port"},
    {"tls-replication", NULL,
     "TLS is not supported yet: passwords and data would travel between master and replica in clear"},
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
        if (strcmp(missing[i].directive, d->name) == 0 && (!missing[i].hurts || missing[i].hurts(c)))
            return missing[i].loss;
    }
    return NULL;
}
