/* What becomes of a request: it is run, queued, held or refused, as the gate says. Server process. */
#ifndef SLIPSTREAM_CORE_RUN_DISPATCH_H
#define SLIPSTREAM_CORE_RUN_DISPATCH_H

#include "server/core/run/request.h"

struct core;
struct session;

/* One request of the outermost level. Where it touched keys that others wait for, those are served before the next. */
void dispatch_request(struct core *core, struct session *session, const struct request *request);

#endif
