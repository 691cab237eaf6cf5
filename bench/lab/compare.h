/* Whether a replica has what its master has. */
#ifndef LAB_COMPARE_H
#define LAB_COMPARE_H

#include "bench/servers/contestant.h"

/* By DEBUG DIGEST where both allow it, else key by key, whatever its type. False: `difference` says one. */
bool same_data(struct instance *master, struct instance *replica, char difference[160]);

#endif
