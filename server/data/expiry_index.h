/* What runs out when: pairs of a time and the hash of a name, in order of time. Server process;
 * the snapshot child reads.
 *
 * A hash keeps one of its fields with an expiry, a database one of its hashes that have such fields. Names are not
 * kept: who takes the first pair finds its thing by the hash. Two names with one hash of 64 bits and the same time
 * would be one pair: the second is then found late, by whoever looks at it.
 *
 * It is a radix tree (data/radix_tree.h) of 16-byte keys: near times share their leading bytes, so that a pair costs
 * some 40 bytes, and nothing is ever moved or rehashed as a whole. */
#ifndef SLIPSTREAM_DATA_EXPIRY_INDEX_H
#define SLIPSTREAM_DATA_EXPIRY_INDEX_H

#include "server/data/radix_tree.h"

struct expiry_index {
    struct radix_tree tree;
    int64_t first_ms; /* the smallest time, when there is any */
    /* How many stand before a time that was asked for last: who asks again counts from there. */
    int64_t counted_ms;
    size_t counted;
};

struct expiry_entry {
    int64_t when_ms; /* Unix time, above 0 */
    uint64_t hash;
};

void expiry_index_init(struct expiry_index *x); /* all zero is the same */
void expiry_index_clear(struct expiry_index *x);
void expiry_index_add(struct expiry_index *x, int64_t when_ms, uint64_t hash);
void expiry_index_remove(struct expiry_index *x, int64_t when_ms, uint64_t hash); /* nothing, where it is not there */
bool expiry_index_first(const struct expiry_index *x, struct expiry_entry *out);  /* false: empty */
int64_t expiry_index_last_ms(const struct expiry_index *x);                       /* 0: it is empty */
/* Walks over those between that time and the one that was asked for last: each pair is counted once as time goes on. */
size_t expiry_index_before(struct expiry_index *x, int64_t when_ms);
size_t expiry_index_memory(const struct expiry_index *x); /* heap bytes */

static inline size_t expiry_index_count(const struct expiry_index *x)
{
    return x->tree.count;
}

#endif
