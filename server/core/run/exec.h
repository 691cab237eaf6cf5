/* EXEC: what was queued is run, all of it or nothing. Server process. */
#ifndef SLIPSTREAM_CORE_RUN_EXEC_H
#define SLIPSTREAM_CORE_RUN_EXEC_H

#include "server/core/run/call.h"

/* Inside MULTI alone; answers and ends the transaction. */
void exec_transaction(struct call *call);

#endif
