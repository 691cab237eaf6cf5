/* How the server stops. Server process. */
#ifndef SLIPSTREAM_CORE_PROCESS_SHUTDOWN_H
#define SLIPSTREAM_CORE_PROCESS_SHUTDOWN_H

#include "server/core/lifecycle.h"

struct core;
struct session;

/* Waits for replicas to catch up (shutdown-timeout) unless NOW, saves, ends the loop. -1: could not save, not
 * FORCE. */
int shutdown_begin(struct core *core, int flags, struct session *caller);
int shutdown_abort(struct core *core); /* -1: none under way */
void shutdown_cron(struct core *core, int64_t now_ms);

#endif
