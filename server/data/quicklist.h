/* Quicklist: a linked list whose nodes each hold many elements in a listpack. What long lists are kept in.
 *
 * Ends are O(1). How full a node may become is `fill` (list-max-listpack-size): -1 to -5 mean 4, 8, 16, 32, 64 KiB, a
 * positive number so many elements (and 8 KiB at most). An element larger than a node may be has a node of its own, as
 * plain bytes. With a compress depth, nodes further than so many from either end are kept packed by LZF; they are
 * unpacked into memory of the reader's, so that reading changes nothing. Node counts and sizes are what Redis's are but
 * for rounding. */
#ifndef SLIPSTREAM_DATA_QUICKLIST_H
#define SLIPSTREAM_DATA_QUICKLIST_H

#include "server/data/packed.h"

struct quicklist;
struct quicklist_node;

enum list_end { LIST_HEAD, LIST_TAIL };

struct quicklist *quicklist_new(int fill, int compress_depth);
void quicklist_free(struct quicklist *ql);
struct quicklist *quicklist_copy(const struct quicklist *ql);
size_t quicklist_count(const struct quicklist *ql);
size_t quicklist_nodes(const struct quicklist *ql);
size_t quicklist_memory(const struct quicklist *ql, size_t samples); /* heap bytes; of nodes: so many, 0: all */

/* DEBUG QUICKLIST-PACKED-THRESHOLD: a longer element has a node to itself, even where a node could be larger. */
extern size_t quicklist_plain_above_bytes;
/* A listpack of these dimensions is too large to be one node. */
bool quicklist_node_exceeds(int fill, size_t bytes, size_t count);

/* --- ends --- values must not lie inside the list --- */
void quicklist_push(struct quicklist *ql, enum list_end end, struct packed_value value);
struct packed_value quicklist_at_end(const struct quicklist *ql, enum list_end end); /* of one that is not empty */
void quicklist_drop(struct quicklist *ql, enum list_end end, size_t count);          /* count at most all */

/* --- whole nodes --- */
void quicklist_append_listpack(struct quicklist *ql, uint8_t *lp); /* takes it; an empty one is freed */
/* The only node, when that is a listpack: NULL, or its listpack, while the rest of the quicklist is freed. */
uint8_t *quicklist_take_listpack(struct quicklist *ql);
const uint8_t *quicklist_only_listpack(const struct quicklist *ql); /* the same, only to look at */

/* --- anywhere --- */

/* Stands on one element. Reading leaves the list as it is; changing it by anything but the cursor itself ends the
 * cursor. Close it in any case. */
struct quicklist_cursor {
    struct quicklist *list;
    struct quicklist_node *node;    /* NULL: on no element */
    struct quicklist_node *altered; /* has been unpacked to be changed */
    const uint8_t *content;         /* the node's bytes, or their unpacked copy */
    const uint8_t *element;         /* a listpack's */
    uint8_t *scratch;
};

/* index from 0, or from -1 backwards; false: there is none (the cursor is closed then). */
bool quicklist_seek(struct quicklist *ql, int64_t index, struct quicklist_cursor *out);
void quicklist_cursor_close(struct quicklist_cursor *c);
struct packed_value quicklist_cursor_value(const struct quicklist_cursor *c); /* until the cursor moves */
bool quicklist_cursor_next(struct quicklist_cursor *c);                       /* false: that was the last */
bool quicklist_cursor_prev(struct quicklist_cursor *c);

/* Shows `count` elements from index on, all of which there are, to visit. Faster than a cursor. */
void quicklist_walk(struct quicklist *ql, size_t index, size_t count,
                    void (*visit)(void *context, struct packed_value value), void *context);

/* Each of these ends the cursor, but for deleting: then it stands on the next element towards the tail, or with
 * `backwards` towards the head. False: there is none. */
void quicklist_cursor_insert(struct quicklist_cursor *c, bool before, struct packed_value value);
void quicklist_cursor_replace(struct quicklist_cursor *c, struct packed_value value);
bool quicklist_cursor_delete(struct quicklist_cursor *c, bool backwards);

#endif
