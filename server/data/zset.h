/* Sorted sets: distinct members in order of score, then of bytes. Server process; the snapshot child walks them.
 *
 * Small ones are a listpack of members and scores in turn, in order; larger ones, or with a long member, a member table
 * whose payloads are the scores and a skiplist over the same members. A `struct zset` is what the keyspace's record
 * says of the value: changing functions may give it another address or encoding, and the caller tells the record. What
 * stands inside the record is copied before it is changed.
 *
 * Ranges of every kind are intervals of ranks, which count from 0 (data/skiplist.h). Slices given out are valid until
 * the next change. */
#ifndef SLIPSTREAM_DATA_ZSET_H
#define SLIPSTREAM_DATA_ZSET_H

#include "server/data/packed.h"
#include "server/data/skiplist.h"
#include "server/data/value.h"

struct zset {
    enum value_encoding encoding; /* ENCODING_LISTPACK or ENCODING_SKIPLIST */
    void *object;                 /* the listpack, or a struct zset_tree */
    bool inside;                  /* the object is the record's, not ours */
};

struct zset_tree {
    struct member_table table; /* payload: the score */
    struct skiplist list;
};

struct zset_entry {
    struct packed_value member;
    double score;
};

void zset_register(void); /* its row of operations; at start-up */

struct zset zset_new(size_t first_member_bytes);
void zset_free(struct zset *z);
bool zset_packed_fits(size_t members, size_t longest_bytes, size_t total_bytes); /* may that be a listpack? */
size_t zset_count(const struct zset *z);

/* --- one member --- */

/* Where a member is, or that it is absent: found by zset_find, good until the next change. */
struct zset_place {
    uint64_t hash;
    struct member *member;
    uint8_t *element;
};

bool zset_find(const struct zset *z, struct bytes member, struct zset_place *place, double *score);
void zset_add(struct zset *z, struct bytes member, const struct zset_place *absent, double score);
void zset_move(struct zset *z, struct bytes member, const struct zset_place *found, double from, double to);
void zset_remove(struct zset *z, const struct zset_place *found, double score);
bool zset_score(const struct zset *z, const struct packed_value *member, double *score); /* false: absent */
bool zset_rank(const struct zset *z, struct bytes member, size_t *rank, double *score);
/* Adds a member known to be absent, without looking; quickest when it comes first in order. */
void zset_add_new(struct zset *z, const struct packed_value *member, double score);

/* --- ranges --- */

/* The rank of the first member from `from` on that does not stand before the place. */
size_t zset_rank_of(const struct zset *z, const struct skiplist_bound *bound, size_t from);
void zset_remove_ranks(struct zset *z, size_t rank, size_t count); /* which exist */

struct zset_walk {
    bool packed, reverse;
    const uint8_t *listpack, *element; /* element: the next member, NULL at the end */
    struct skiplist_position at;
};

void zset_walk_start(struct zset_walk *w, const struct zset *z, size_t rank, bool reverse);
bool zset_walk_next(struct zset_walk *w, struct zset_entry *out);

typedef void zset_visit(void *arg, const struct zset_entry *entry);

void zset_random(const struct zset *z, struct random_state *random, struct zset_entry *out); /* of one not empty */
void zset_sample(const struct zset *z, size_t count, struct random_state *random, zset_visit *visit, void *arg);
/* As member_table_scan; a packed one is visited whole. */
uint64_t zset_scan(const struct zset *z, uint64_t cursor, size_t count, zset_visit *visit, void *arg);

/* --- for those who build or read listpacks of members and scores --- */

/* A score as a listpack keeps it, and back; false: no number. text is used by what is not a whole number. */
struct packed_value zset_pack_score(double score, char text[DOUBLE_TEXT_MAX]);
bool zset_unpack_score(const struct packed_value *packed, double *score);

static inline double member_score(const struct member *m)
{
    double score;
    memcpy(&score, member_payload(m), sizeof score);
    return score;
}

static inline void member_set_score(struct member *m, double score)
{
    memcpy(member_payload(m), &score, sizeof score);
}

#endif
