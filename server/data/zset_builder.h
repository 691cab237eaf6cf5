/* Builds a sorted set from members that come in any order, some perhaps more than once: ordering them once at the end
 * is far cheaper than keeping them in order. Loading, ZUNION and its kind. */
#ifndef SLIPSTREAM_DATA_ZSET_BUILDER_H
#define SLIPSTREAM_DATA_ZSET_BUILDER_H

#include "server/data/zset.h"

struct zset_builder {
    struct zset_tree *tree;       /* its list stays empty until the end */
    struct skiplist_entry *order; /* in the order of arrival; scores are filled in at the end */
    size_t count, capacity;
    size_t longest_bytes, total_bytes; /* of the members */
};

void zset_builder_init(struct zset_builder *b, size_t expected);
void zset_builder_free(struct zset_builder *b); /* instead of finishing */
/* False: it was there. */
bool zset_builder_add(struct zset_builder *b, const struct packed_value *member, double score);
/* Adds the member, or gives one that is there the score that combine makes of its own and this one. */
void zset_builder_merge(struct zset_builder *b, const struct packed_value *member, double score,
                        double (*combine)(double own, double other));
/* Puts the entries in order: valid until the builder is finished or freed. */
const struct skiplist_entry *zset_builder_sort(struct zset_builder *b);
struct zset zset_builder_finish(struct zset_builder *b); /* in the encoding that suits it */

#endif
