/* Directives that ask for a part which is not there, and whose loss would cost data or security: refused, at the start
 * and by CONFIG SET, with the loss named. Server process.
 *
 * Every other directive without effect is accepted with a warning (DIR_NO_EFFECT), since a server without a slow log is
 * still of use; one that lies open or comes back empty is not. A row goes when its part comes. */
#include "server/core/config/config_parts.h"

#include <string.h>

static const struct {
    const char *directive; /* refused with any value but its default */
    const char *loss;
} missing[] = {
    {"aclfile",
     "users and their rules (ACL) are not supported yet: they would be ignored, and everybody allowed everything"},
    {"cluster-enabled",
     "cluster mode is not supported yet: this server would stand alone and take every key for its own"},
    {"tls-port", "TLS is not supported yet: nothing would listen on that port"},
    {"tls-replication",
     "TLS is not supported yet: passwords and data would travel between master and replica in clear"},
};

const char *config_missing_part(const struct config *c, const struct directive *d)
{
    if (directive_is_initial(c, d)) return NULL;
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        if (strcmp(missing[i].directive, d->name) == 0) return missing[i].loss;
    }
    return NULL;
}
