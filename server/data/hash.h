/* Hashes: fields with a value each. Server process; the snapshot child walks them.
 *
 * Small ones are a listpack of fields and values in turn, in the order of their arrival; larger ones, or with a long
 * field or value, a member table whose payloads are the values. A `struct hash` is what the keyspace's record says of
 * the value: changing functions may give it another address or encoding, and the caller tells the record. What stands
 * inside the record is copied before it is changed.
 *
 * While fields have an expiry, the hash is in one of two further encodings (data/timed_hash.h): it enters them at the
 * first and leaves them at the last, and every function here takes all four. */
#ifndef SLIPSTREAM_DATA_HASH_H
#define SLIPSTREAM_DATA_HASH_H

#include "server/data/listpack.h"
#include "server/data/member_table.h"
#include "server/data/value.h"

struct hash {
    enum value_encoding encoding; /* ENCODING_LISTPACK or ENCODING_HASHTABLE; timed: ENCODING_LISTPACK_TIMED, ... */
    void *object;
    bool inside;    /* the object is the record's, not ours */
    int64_t now_ms; /* of a timed one: fields whose expiry is before that look absent; 0: none does */
};

#define HASH_NO_EXPIRY 0 /* every expiry is above; what is given below counts as 1, long past */

static inline bool hash_is_timed(const struct hash *h)
{
    return h->encoding >= ENCODING_LISTPACK_TIMED;
}

void hash_register(void); /* its row of operations; at start-up */

struct hash hash_new(void);
struct hash hash_new_table(size_t fields); /* with room for so many */
void hash_free(struct hash *h);
bool hash_packed_fits(size_t fields, size_t longest_bytes, size_t total_bytes); /* may that be a listpack? */

size_t hash_length(const struct hash *h); /* with fields that are dead, but not yet reaped */
bool hash_get(const struct hash *h, struct bytes field, struct packed_value *value); /* false: no such field */
bool hash_set(struct hash *h, struct bytes field, struct bytes value);               /* true: the field is new */
/* Adds a field that is known to be absent, without looking. */
void hash_add(struct hash *h, const struct packed_value *field, const struct packed_value *value);
/* To a hash that is a table; false: the field is there, and stays as it is. */
bool hash_add_to_table(struct hash *h, const struct packed_value *field, const struct packed_value *value);
bool hash_delete(struct hash *h, struct bytes field); /* false: no such field, or a dead one, which goes, too */

/* --- fields with an expiry: Unix time in ms ---
 * hash_set() and hash_add() take a field's expiry away. */
bool hash_set_with_expiry(struct hash *h, struct bytes field, struct bytes value, int64_t expire_ms); /* true: new */
bool hash_set_keeping_expiry(struct hash *h, struct bytes field, struct bytes value);                 /* true: new */
/* For loaders. False: the field is there, dead or not, and stays as it is. */
bool hash_add_with_expiry(struct hash *h, const struct packed_value *field, const struct packed_value *value,
                          int64_t expire_ms);
bool hash_set_expiry(struct hash *h, struct bytes field, int64_t expire_ms); /* false: no such field */
int64_t hash_expiry(const struct hash *h, struct bytes field); /* HASH_NO_EXPIRY: none, or no such field */
int64_t hash_next_expiry(const struct hash *h); /* the smallest, of dead fields, too; HASH_NO_EXPIRY: not timed */
size_t hash_expiring(const struct hash *h);     /* fields with an expiry, dead or not */
bool hash_lives(const struct hash *h);          /* some field does not look absent */
size_t hash_living(const struct hash *h);       /* fields that do not look absent; counts the dead through */
/* Takes up to `most` fields out that are dead at this time, in the order of their expiry, telling of each before it
 * goes (may be NULL). Returns how many. */
typedef void hash_reaped(void *arg, struct bytes field);
size_t hash_reap(struct hash *h, int64_t now_ms, size_t most, hash_reaped *reaped, void *arg);

/* Slices are valid until the next change. */
struct hash_pair {
    struct packed_value field, value;
};

struct hash_walk {
    const uint8_t *element; /* of a listpack: the next field */
    bool packed, timed, timed_packed;
    int64_t now_ms;
    struct member_walk members;
    struct member_walk
        timed_members; /* a timed one walks here, and the walk above has ended: others ask nothing more */
};

void hash_walk_start(struct hash_walk *w, const struct hash *h);
bool hash_walk_next(struct hash_walk *w, struct hash_pair *out);
/* Every field with its expiry, dead ones, too; of any encoding. */
bool hash_walk_next_timed(struct hash_walk *w, struct hash_pair *out, int64_t *expire_ms);

typedef void hash_visit(void *arg, const struct hash_pair *pair);

/* Of one with a living field. */
void hash_random(const struct hash *h, struct random_state *random, struct hash_pair *out);

/* Drawing fields one after the other, again and again the same ones. Where nearly all are dead, the few that live are
 * gathered first: looked for at each draw they would cost a walk each. */
struct hash_drawing {
    const struct hash *hash;
    struct hash_pair *few; /* NULL: they are drawn from the hash */
    size_t few_count;
};
void hash_draw_begin(struct hash_drawing *d, const struct hash *h); /* of one with a living field */
void hash_draw(const struct hash_drawing *d, struct random_state *random, struct hash_pair *out);
void hash_draw_end(struct hash_drawing *d);
void hash_sample(const struct hash *h, size_t count, struct random_state *random, hash_visit *visit, void *arg);
/* As member_table_scan; a packed one is visited whole. */
uint64_t hash_scan(const struct hash *h, uint64_t cursor, size_t count, hash_visit *visit, void *arg);

#endif
