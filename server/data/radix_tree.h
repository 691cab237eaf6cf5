/* Radix tree: byte-string keys in byte order, each with a pointer; common beginnings are kept once.
 *
 * A node is one block as large as it needs to be: the bytes it passes over, its value if a key ends there, and its
 * children by ascending first byte. Ids of a stream, 16 bytes each, share all but their last few bytes, so that a leaf
 * costs about 24 bytes; walking in order, both ways and from anywhere, is what everything in a stream asks for.
 *
 * Values belong to the caller. A cursor is invalid once the tree has changed: seek again by the key it stood on. */
#ifndef SLIPSTREAM_DATA_RADIX_TREE_H
#define SLIPSTREAM_DATA_RADIX_TREE_H

#include "server/base/bytes.h"

struct radix_node;

struct radix_tree {
    struct radix_node *root; /* NULL: empty */
    size_t count;            /* keys */
    size_t bytes;            /* of all nodes */
};

void radix_tree_init(struct radix_tree *t);                                   /* all zero is the same */
void radix_tree_clear(struct radix_tree *t, void (*free_value)(void *value)); /* free_value may be NULL */

void *radix_tree_find(const struct radix_tree *t, struct bytes key); /* NULL: no such key */
/* Sets key's value (not NULL); returns what stood there, NULL when the key is new. */
void *radix_tree_set(struct radix_tree *t, struct bytes key, void *value);
void *radix_tree_remove(struct radix_tree *t, struct bytes key); /* returns its value, NULL: no such key */

/* How many nodes Redis's own tree would have for these keys (XINFO STREAM tells). Walks the tree. */
size_t radix_tree_redis_nodes(const struct radix_tree *t);

/* --- in order --- */

struct radix_frame {
    const struct radix_node *node;
    uint32_t child;   /* which child of the frame above this is */
    uint32_t key_len; /* of the path up to and with this node */
};

struct radix_cursor {
    const struct radix_tree *tree;
    void *value;      /* NULL: behind the end */
    struct bytes key; /* of the entry; the cursor's own bytes */
    uint8_t *path;
    size_t path_capacity, depth, frame_capacity;
    struct radix_frame *frames;
    uint8_t path_room[32];
    struct radix_frame frame_room[18];
};

/* Where to stand: on the key, or the nearest one before or behind it. */
enum radix_seek { RADIX_LESS, RADIX_AT_MOST, RADIX_AT_LEAST, RADIX_GREATER };

void radix_cursor_init(struct radix_cursor *c, const struct radix_tree *t);
void radix_cursor_close(struct radix_cursor *c);
/* Each says whether there is such an entry. */
bool radix_cursor_first(struct radix_cursor *c);
bool radix_cursor_last(struct radix_cursor *c);
bool radix_cursor_seek(struct radix_cursor *c, enum radix_seek where, struct bytes key);
bool radix_cursor_next(struct radix_cursor *c);
bool radix_cursor_prev(struct radix_cursor *c);

#endif
