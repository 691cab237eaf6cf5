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

void random_from_kernel(void *out, size_t len);
void random_hex(char *out,
                size_t digits); /* `digits` lowercase hex characters, no zero at the end: run ids, replication ids */

#endif
