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

/* The part of the used memory that maxmemory does not count: what is kept for replicas that lag, for evictions are
 * replicated and would make more of it, and buffers that wait for their next use. */
size_t memory_limit_not_counted(const struct core *core);
/* What clients have been told of an evicted key waits to leave, and must not cost another one: bytes that it took. */
void memory_limit_told(struct core *core, size_t bytes);
void memory_limit_turn_ends(struct core *core); /* what was told before it has left, or counts like all that waits */
/* A client that is closed holds so many bytes until it is freed: they must not cost a key. */
void memory_limit_leaves(struct core *core, size_t bytes);
void memory_limit_has_left(struct core *core, size_t bytes);
/* Used memory has been above maxmemory, although keys were evicted: altogether, and at this moment without a break. */
uint64_t memory_limit_exceeded_us(const struct core *core, uint64_t *current_us);

#endif
