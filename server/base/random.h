/* Randomness: a fast seeded generator for sampling, and the kernel's for identities. */
#ifndef SLIPSTREAM_BASE_RANDOM_H
#define SLIPSTREAM_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random_state {
    uint64_t s[4]; /* xoshiro256**; never all zero after random_seed() */
};

void random_seed(struct random_state *r, uint64_t seed);
uint64_t random_u64(struct random_state *r);
uint64_t random_below(struct random_state *r, uint64_t bound); /* uniform in [0, bound); bound > 0 */

/* What nobody may guess: seeds of tables, identities. Every seed of this process comes from here. */
void random_from_kernel(void *out, size_t len);
/* `digits` lowercase hex characters of it, no zero at the end: run ids, replication ids. */
void random_hex(char *out, size_t digits);
/* For a simulator: from now on random_from_kernel gives the sequence that begins with this seed, so that a run can be
 * repeated. Before anything is drawn; one thread. */
void random_replay(uint64_t seed);

#endif
