/* maxmemory at the gate: makes room before a command runs, or says why it may not. */
#ifndef SLIPSTREAM_CORE_DATASET_MEMORY_LIMIT_H
#define SLIPSTREAM_CORE_DATASET_MEMORY_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;

/* NULL: go on. Evicts keys by the policy until memory is under the limit; a command that may take more memory is
 * refused when that did not help. */
const char *memory_limit_refusal(struct core *core, bool takes_memory);

/* The limit is another one: evicts at once, without waiting for the next command. */
void memory_limit_changed(struct core *core);

/* The part of the used memory that maxmemory does not count: what is kept for replicas that lag. Evicting for it would
 * make more of it, for evictions are replicated. */
size_t memory_limit_not_counted(const struct core *core);
/* Used memory has been above maxmemory, although keys were evicted: altogether, and at this moment without a break. */
uint64_t memory_limit_exceeded_us(const struct core *core, uint64_t *current_us);

#endif
