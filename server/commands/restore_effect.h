/* What RESTORE of a hash whose fields expire is for replicas and the append-only file. Server process. */
#ifndef SLIPSTREAM_COMMANDS_RESTORE_EFFECT_H
#define SLIPSTREAM_COMMANDS_RESTORE_EFFECT_H

#include "server/core/run/call.h"

/* Instead of its request: r, which is such a hash, as the commands that make it.
 * What had the key before has been told. */
void restore_effect_propagate(struct call *call, const struct record *r);

#endif
