/* Making a failure short: parts of the script are left out, then words of its commands, while it still fails. */
#ifndef DIFFERENTIAL_SHRINK_H
#define DIFFERENTIAL_SHRINK_H

#include "tests/differential/step.h"

/* `fails` says whether a script fails on fresh servers; the given one does. Glued steps stay with the one before them.
 * Takes about bound_ms at most. */
void shrink(struct script *s, bool (*fails)(void *context, const struct script *s), void *context, int bound_ms);

#endif
