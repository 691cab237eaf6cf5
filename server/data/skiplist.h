/* Skiplist: the members of a sorted set in order of score, then of bytes, with ranks. Server process; the snapshot
 * child walks it.
 *
 * Unrolled: a node holds up to some thirty entries in order, so that most of a search and every step of a walk stay
 * within a few neighbouring cache lines, and the links cost little per entry. A link knows how many entries it passes,
 * which makes ranks. Entries name members that belong to a table; the score stands here too, for searching without
 * touching them.
 *
 * Every range of a sorted set, by score, by bytes or by rank, is an interval of ranks: skiplist_rank_of() finds its
 * ends, skiplist_at() the place to walk from. */
#ifndef SLIPSTREAM_DATA_SKIPLIST_H
#define SLIPSTREAM_DATA_SKIPLIST_H

#include "server/data/member_table.h"

#define SKIPLIST_LEVELS     12
#define SKIPLIST_NODE_BYTES 512

struct skiplist_entry {
    double score; /* never NaN */
    struct member *member;
};

struct skiplist_node;

struct skiplist {
    struct skiplist_node *first; /* of full height: every search starts here; NULL until the first insert */
    struct skiplist_node *last;
    size_t count, nodes;
    unsigned levels; /* in use */
    uint64_t random;
};

void skiplist_init(struct skiplist *l);
void skiplist_free(struct skiplist *l); /* members are their table's */
size_t skiplist_memory(const struct skiplist *l);
/* Fills an empty list with entries in ascending order. */
void skiplist_fill(struct skiplist *l, const struct skiplist_entry *entries, size_t count);
int skiplist_compare(const struct skiplist_entry *a, const struct skiplist_entry *b); /* <0, 0, >0 */

/* --- change --- */
void skiplist_insert(struct skiplist *l, double score, struct member *member); /* which is not in it */
void skiplist_remove(struct skiplist *l, double score, struct member *member); /* which is in it with this score */
void skiplist_move(struct skiplist *l, struct member *member, double from, double to);
/* Removes `count` entries from a rank on; they exist. Each member is handed to removed() after it has left the list. */
void skiplist_remove_ranks(struct skiplist *l, size_t rank, size_t count,
                           void (*removed)(void *arg, struct member *member), void *arg);

/* --- search --- ranks count from 0 */
enum skiplist_order { SKIPLIST_BY_SCORE, SKIPLIST_BY_KEY, SKIPLIST_BY_BOTH };

/* A place between entries: before all that equal it, or after them. */
struct skiplist_bound {
    enum skiplist_order order; /* by key: all scores are expected to be equal, as for ZRANGE BYLEX */
    bool after;
    double score;
    struct bytes key;
};

size_t skiplist_rank_of(const struct skiplist *l, const struct skiplist_bound *bound); /* entries before the place */

/* --- walking: the list must not change meanwhile --- */
struct skiplist_position {
    const struct skiplist_node *node; /* NULL: beyond either end */
    unsigned index;
};

struct skiplist_position skiplist_at(const struct skiplist *l, size_t rank);
/* The entry here (NULL at the end), and a step forwards or backwards. */
const struct skiplist_entry *skiplist_next(struct skiplist_position *p);
const struct skiplist_entry *skiplist_previous(struct skiplist_position *p);

#endif
