/* Inside of the quicklist: its nodes, for quicklist.c (nodes, ends, the whole) and quicklist_cursor.c (anywhere). */
#ifndef SLIPSTREAM_DATA_QUICKLIST_NODE_H
#define SLIPSTREAM_DATA_QUICKLIST_NODE_H

#include "server/data/quicklist.h"

struct quicklist_node {
    struct quicklist_node *prev, *next;
    uint8_t *data;         /* a listpack, or a plain element's bytes; packed: LZF of that */
    size_t bytes;          /* of the listpack or the plain element */
    size_t packed_bytes;   /* of data when it is packed, else 0 */
    uint32_t count : 31;   /* elements */
    uint32_t is_plain : 1; /* one element larger than a node may be */
};

struct quicklist {
    struct quicklist_node *head, *tail;
    size_t count, nodes;
    int fill, compress_depth;
};

#define QUICKLIST_ELEMENT_OVERHEAD 10 /* at most, of a string or an integer in a listpack */

/* --- quicklist.c --- */
bool quicklist_is_large(int fill, const struct packed_value *v); /* wants a node of its own */
bool quicklist_node_accepts(const struct quicklist *ql, const struct quicklist_node *n, const struct packed_value *v);
struct quicklist_node *quicklist_node_of_value(const struct quicklist *ql, const struct packed_value *v);
struct quicklist_node *quicklist_node_of_listpack(uint8_t *lp); /* takes it */
/* Links n behind `after`; NULL: at the head. */
void quicklist_link(struct quicklist *ql, struct quicklist_node *n, struct quicklist_node *after);
void quicklist_unlink(struct quicklist *ql, struct quicklist_node *n); /* and frees it */
void quicklist_node_changed(struct quicklist *ql, struct quicklist_node *n, uint8_t *lp, ptrdiff_t elements);
void quicklist_node_push(struct quicklist *ql, struct quicklist_node *n, enum list_end end, struct packed_value v);

void quicklist_node_unpack(struct quicklist_node *n);
void quicklist_node_unpack_to(const struct quicklist_node *n, uint8_t *out); /* n->bytes */
/* Once nodes have come, gone, or been unpacked: those near an end are unpacked; the first ones inside, `altered` and
 * its neighbours (it may be NULL) are packed, unless they are near an end. */
void quicklist_settle(struct quicklist *ql, struct quicklist_node *altered);

#endif
