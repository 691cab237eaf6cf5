/* What a key can hold: type, encoding, and the few things every type can do. Values know no keys.
 *
 * Strings live inside the keyspace's record when short and integer-like ones as 8 bytes; every other value is an object
 * behind one pointer, with one row of operations per type here. The numbers of types and encodings are ours (RDB has
 * its own); their names are Redis's. */
#ifndef SLIPSTREAM_DATA_VALUE_H
#define SLIPSTREAM_DATA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type { TYPE_STRING, TYPE_LIST, TYPE_SET, TYPE_ZSET, TYPE_HASH, TYPE_STREAM, TYPE_MODULE, VALUE_TYPES };

enum value_encoding {
    ENCODING_RAW,
    ENCODING_INT,
    ENCODING_EMBSTR,
    ENCODING_HASHTABLE,
    ENCODING_LISTPACK,
    ENCODING_INTSET,
    ENCODING_SKIPLIST,
    ENCODING_QUICKLIST,
    ENCODING_STREAM,
    ENCODING_LISTPACK_TIMED, /* hashes whose fields expire: behind all others, so that one bit of a record tells */
    ENCODING_HASHTABLE_TIMED,
    VALUE_ENCODINGS
};

const char *value_type_name(enum value_type type);             /* "string", "list" ... */
const char *value_encoding_name(enum value_encoding encoding); /* "embstr", "listpack" ... */

/* Elements that are measured of a large object: MEMORY USAGE's default. */
#define VALUE_MEMORY_SAMPLES 5

/* Operations on the object behind a record of a type other than string. One row a type; a type not built has none. */
struct value_ops {
    void (*free)(void *object, enum value_encoding encoding);
    void *(*copy)(const void *object, enum value_encoding encoding);
    size_t (*memory)(const void *object, enum value_encoding encoding, size_t samples); /* heap bytes; samples 0: all */
    size_t (*free_effort)(const void *object, enum value_encoding encoding);            /* about how many allocations */
    /* Adds the value to DEBUG DIGEST: mixes into digest as data/digest.h describes. */
    void (*digest)(const void *object, enum value_encoding encoding, uint8_t digest[20]);
    /* Fetches what a command on one element is about to touch: in step 0 what leads to it, in each further step what
     * that leads to, once it has had time to arrive. false: this was the last step. `hash` is hash_bytes of the
     * element. NULL: nothing can be known ahead. */
    bool (*prefetch)(const void *object, enum value_encoding encoding, uint64_t hash, unsigned step);
};

const struct value_ops *value_ops(enum value_type type);                    /* NULL for strings and types not built */
void value_ops_register(enum value_type type, const struct value_ops *ops); /* at start-up */

#endif
