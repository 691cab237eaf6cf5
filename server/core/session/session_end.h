/* What a session leaves when it ends, or begins anew. Server process. */
#ifndef SLIPSTREAM_CORE_SESSION_SESSION_END_H
#define SLIPSTREAM_CORE_SESSION_SESSION_END_H

#include "server/core/session/session.h"

void session_release(struct core *core, struct session *s); /* leaves MULTI, WATCH, channels; frees what it owns */
void session_reset(struct core *core, struct session *s);   /* RESET */

#endif
