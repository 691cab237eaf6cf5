/* maxmemory at the gate: makes room before a command runs, or says why it may not. */
#ifndef SLIPSTREAM_CORE_MEMORY_LIMIT_H
#define SLIPSTREAM_CORE_MEMORY_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

struct core;

/* NULL: go on. Evicts keys by the policy until memory is under the limit; a command that may take more memory is
 * refused when that did not help. */
const char *memory_limit_refusal(struct core *core, bool takes_memory);

/* The limit is another one: evicts at once, without waiting for the next command. */
void memory_limit_changed(struct core *core);

/* The part of the used memory that maxmemory counts: not the replication backlog. */
size_t memory_limit_counted(const struct core *core);

#endif
