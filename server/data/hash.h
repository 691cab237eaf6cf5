/* Hashes: fields with a value each. Server process; the snapshot child walks them.
 *
 * Small ones are a listpack of fields and values in turn, in the order of their arrival; larger ones, or with a long
 * field or value, a member table whose payloads are the values. A `struct hash` is what the keyspace's record says of
 * the value: changing functions may give it another address or encoding, and the caller tells the record. What stands
 * inside the record is copied before it is changed. */
#ifndef SLIPSTREAM_DATA_HASH_H
#define SLIPSTREAM_DATA_HASH_H

#include "server/data/listpack.h"
#include "server/data/member_table.h"
#include "server/data/value.h"

struct hash {
    enum value_encoding encoding; /* ENCODING_LISTPACK or ENCODING_HASHTABLE */
    void *object;
    bool inside; /* the object is the record's, not ours */
};

void hash_register(void); /* its row of operations; at start-up */

struct hash hash_new(void);
struct hash hash_new_table(size_t fields); /* with room for so many */
void hash_free(struct hash *h);
bool hash_packed_fits(size_t fields, size_t longest_bytes, size_t total_bytes); /* may that be a listpack? */

size_t hash_length(const struct hash *h);
bool hash_get(const struct hash *h, struct bytes field, struct packed_value *value); /* false: no such field */
bool hash_set(struct hash *h, struct bytes field, struct bytes value);               /* true: the field is new */
/* Adds a field that is known to be absent, without looking. */
void hash_add(struct hash *h, const struct packed_value *field, const struct packed_value *value);
/* To a hash that is a table; false: the field is there, and stays as it is. */
bool hash_add_to_table(struct hash *h, const struct packed_value *field, const struct packed_value *value);
bool hash_delete(struct hash *h, struct bytes field);

/* Slices are valid until the next change. */
struct hash_pair {
    struct packed_value field, value;
};

struct hash_walk {
    const uint8_t *element; /* of a listpack: the next field */
    bool packed;
    struct member_walk members;
};

void hash_walk_start(struct hash_walk *w, const struct hash *h);
bool hash_walk_next(struct hash_walk *w, struct hash_pair *out);

typedef void hash_visit(void *arg, const struct hash_pair *pair);

void hash_random(const struct hash *h, struct random_state *random, struct hash_pair *out); /* of one not empty */
void hash_sample(const struct hash *h, size_t count, struct random_state *random, hash_visit *visit, void *arg);
/* As member_table_scan; a packed one is visited whole. */
uint64_t hash_scan(const struct hash *h, uint64_t cursor, size_t count, hash_visit *visit, void *arg);

#endif
