/* The one hash of keys: XXH3 with a per-process secret seed, so that a client cannot choose colliding keys ahead. */
#ifndef SLIPSTREAM_BASE_HASH_H
#define SLIPSTREAM_BASE_HASH_H

#include "server/base/bytes.h"

extern uint64_t hash_seed; /* set once at start-up, in hash.c; children and the link inherit or do not need it */
void hash_init(void);

uint64_t hash_bytes(struct bytes b);

#endif
