/* The seed of the one hash of keys, drawn once at start. Any process. */
#include "server/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "server/base/random.h"

uint64_t hash_seed;

void hash_init(void)
{
    random_from_kernel(&hash_seed, sizeof(hash_seed));
}

uint64_t hash_bytes(struct bytes b)
{
    return XXH3_64bits_withSeed(b.ptr, b.len, hash_seed);
}
