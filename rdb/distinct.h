/* Whether an element of a value being loaded has come before: a damaged file may name one twice.
 *
 * Kept are hashes of 64 bits, seeded, instead of the elements: two different ones that agree would be taken for one,
 * and will not be met. A packed structure's own search would make loading quadratic. */
#ifndef SLIPSTREAM_RDB_DISTINCT_H
#define SLIPSTREAM_RDB_DISTINCT_H

#include "server/base/hash.h"
#include "server/data/packed.h"

#define DISTINCT_INLINE_SLOTS 64

struct distinct {
    size_t count, capacity;
    uint64_t *more; /* NULL: few enough for the slots here */
    uint64_t slots[DISTINCT_INLINE_SLOTS];
};

void distinct_init(struct distinct *d);
void distinct_free(struct distinct *d);
bool distinct_add(struct distinct *d, struct packed_value element); /* false: it has come before */

#endif
