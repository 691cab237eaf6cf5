/* The time-out argument of commands that wait. Server process. */
#ifndef SLIPSTREAM_COMMANDS_BLOCK_TIMEOUT_H
#define SLIPSTREAM_COMMANDS_BLOCK_TIMEOUT_H

#include "server/core/run/call.h"

/* In seconds, decimals allowed, as BLPOP takes it. false: an error was answered. */
bool block_timeout_seconds(struct call *call, uint32_t arg, int64_t *timeout_ms);
/* The same in whole milliseconds, as XREAD takes it. */
bool block_timeout_ms(struct call *call, uint32_t arg, int64_t *timeout_ms);

#endif
