/* Builds a list from its first element to its last: elements are written into a node until that is full, where pushing
 * them one by one would look at the list each time. Loading; server process, and redis-check-rdb. */
#ifndef SLIPSTREAM_DATA_LIST_BUILDER_H
#define SLIPSTREAM_DATA_LIST_BUILDER_H

#include "server/data/list.h"
#include "server/data/listpack.h"

struct list_builder {
    struct quicklist *list;      /* the nodes that are full; NULL: none yet */
    struct listpack_writer node; /* the one behind them, while open */
    bool open;
    size_t count;    /* elements so far */
    size_t expected; /* so many more may come: a guess, for room */
};

void list_builder_init(struct list_builder *b, size_t expected);
void list_builder_free(struct list_builder *b); /* instead of finishing */
void list_builder_add(struct list_builder *b, struct packed_value value);
void list_builder_add_node(struct list_builder *b,
                           uint8_t *listpack);                 /* takes it; it is no larger than a node may be */
struct list_value list_builder_finish(struct list_builder *b); /* in the encoding that suits it */

#endif
