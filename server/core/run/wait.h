/* WAIT: a session sleeps until enough replicas have acknowledged what it wrote. */
#ifndef SLIPSTREAM_CORE_RUN_WAIT_H
#define SLIPSTREAM_CORE_RUN_WAIT_H

#include "server/core/run/call.h"

/* Answers at once when enough replicas are there already, or inside EXEC; else blocks. timeout_ms 0: for ever. */
void wait_start(struct call *call, int64_t replicas, int64_t timeout_ms);
bool wait_check_all(struct core *core); /* acknowledgements have moved; true: some wait on */

#endif
