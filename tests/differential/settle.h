/* Two servers' data are compared when neither has a key left whose time is over, or nearly so: that one goes at another
 * moment here and there. */
#ifndef DIFFERENTIAL_SETTLE_H
#define DIFFERENTIAL_SETTLE_H

#include "tests/harness/server.h"

#include <stdbool.h>

/* Waits until the server has no such key, in any database; false: it still has one after the bound. */
bool settles(struct server *s, int bound_ms);

#endif
