/* Sets of distinct members. Server process; the snapshot child walks them.
 *
 * Integers alone are an intset while they are few; a few short members are a listpack, in the order of their arrival;
 * more or longer ones a member table. A `struct set` is what the keyspace's record says of the value: changing
 * functions may give it another address or encoding, and the caller tells the record. What stands inside the record is
 * copied before it is changed.
 *
 * Members are passed as packed values, whether as text or as the integer that a canonical text is: either names the
 * same member. Slices given out are valid until the next change. */
#ifndef SLIPSTREAM_DATA_SET_H
#define SLIPSTREAM_DATA_SET_H

#include "server/data/member_table.h"
#include "server/data/packed.h"
#include "server/data/value.h"

struct set {
    enum value_encoding encoding; /* ENCODING_INTSET, ENCODING_LISTPACK or ENCODING_HASHTABLE */
    void *object;
    bool inside; /* the object is the record's, not ours */
};

void set_register(void); /* its row of operations; at start-up */

/* Empty, in the encoding that suits a first member and about so many in all. */
struct set set_new(const struct packed_value *first, size_t expected);
struct set set_new_table(size_t members); /* with room for so many */
void set_free(struct set *s);
bool set_packed_fits(size_t members, size_t longest_bytes, size_t total_bytes); /* may that be a listpack? */

static inline struct packed_value set_member(struct bytes text)
{
    return packed_string(text.len ? (const void *)text.ptr : "", text.len);
}

size_t set_count(const struct set *s);
bool set_contains(const struct set *s, const struct packed_value *member);
bool set_add(struct set *s, const struct packed_value *member); /* false: it was there; it must not lie inside s */
/* Adds a member known to be absent, without looking. */
void set_add_new(struct set *s, const struct packed_value *member);
bool set_remove(struct set *s, const struct packed_value *member); /* it may lie inside s */

struct set_walk {
    enum value_encoding encoding;
    const uint8_t *at; /* the intset, or the next element of the listpack */
    size_t index;      /* in the intset */
    struct member_walk members;
};

void set_walk_start(struct set_walk *w, const struct set *s);
bool set_walk_next(struct set_walk *w, struct packed_value *out);

/* Some members taken from a walk together, to be looked for in other sets: what the memory answers late is asked for
 * ahead, and each member is hashed but once. */
#define SET_BATCH 16

struct set_batch {
    size_t count;
    bool hashed;
    struct packed_value members[SET_BATCH];
    uint64_t hashes[SET_BATCH];
    char scratch[SET_BATCH][I64_TEXT_MAX];
};

bool set_batch_fill(struct set_batch *b, struct set_walk *w); /* false: the walk has ended */
/* Keeps the members that s contains, or with `absent` those that it does not. */
void set_batch_filter(struct set_batch *b, const struct set *s, bool absent);

typedef void set_visit(void *arg, const struct packed_value *member);

void set_random(const struct set *s, struct random_state *random, struct packed_value *out); /* of one not empty */
void set_sample(const struct set *s, size_t count, struct random_state *random, set_visit *visit, void *arg);
/* As member_table_scan; a packed one is visited whole. */
uint64_t set_scan(const struct set *s, uint64_t cursor, size_t count, set_visit *visit, void *arg);

#endif
