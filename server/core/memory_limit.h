/* maxmemory at the gate: makes room before a command runs, or says why it may not. */
#ifndef SLIPSTREAM_CORE_MEMORY_LIMIT_H
#define SLIPSTREAM_CORE_MEMORY_LIMIT_H

#include "server/core/command_table.h"
#include <stddef.h>

struct core;

/* NULL: go on. Evicts keys by the policy until memory is under the limit; a command that may grow the data is refused
 * when that did not help. flags: the command's (EXEC: with those of its queue). */
const char *memory_limit_refusal(struct core *core, uint32_t flags);

/* The part of the used memory that maxmemory counts: not the replication backlog. */
size_t memory_limit_counted(const struct core *core);

#endif
