/* A set of small numbers that finds its next member at once: bits, with bits above them that say which words of the
 * level below have any. Server process; the hash table keeps in one which of its segments have keys with an expiry. It
 * costs an eighth of a byte a number, and nothing before the first member. */
#ifndef SLIPSTREAM_KEYSPACE_MARK_TREE_H
#define SLIPSTREAM_KEYSPACE_MARK_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MARK_TREE_LEVELS 6 /* of 64-fold width each: enough for any directory */
#define MARK_TREE_NONE   SIZE_MAX

struct mark_tree {
    uint64_t *levels[MARK_TREE_LEVELS]; /* one block, the finest level first; NULL: empty */
    size_t bits[MARK_TREE_LEVELS];      /* of each level; of the first: members are below it */
    unsigned level_count;
};

void mark_tree_free(struct mark_tree *t);
size_t mark_tree_memory(const struct mark_tree *t);

/* size: what all members will ever be below, until the next resize; the same at each call. */
void mark_tree_add(struct mark_tree *t, size_t number, size_t size);
void mark_tree_remove(struct mark_tree *t, size_t number);
bool mark_tree_has(const struct mark_tree *t, size_t number);
size_t mark_tree_next(const struct mark_tree *t, size_t from); /* the least member >= from; MARK_TREE_NONE */

/* Every member becomes member << left, or member >> -left where left is negative; so does the size. */
void mark_tree_scale(struct mark_tree *t, int left);

#endif
