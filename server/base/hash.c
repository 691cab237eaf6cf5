/* The seed of the one hash of keys, drawn once per server. */
#include "server/base/hash.h"

#include "server/base/random.h"

uint64_t hash_seed;

void hash_init(void)
{
    random_from_kernel(&hash_seed, sizeof(hash_seed));
}
