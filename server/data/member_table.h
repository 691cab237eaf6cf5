/* The hash table behind big sets, big hashes and sorted sets: byte-string members, each one allocation that also holds
 * what belongs to it. Server process; the snapshot child walks it.
 *
 * An extendible hash, as the keyspace's own: a directory, indexed by the top bits of the hash, points to segments of up
 * to 64 buckets, a bucket being one cache line of one-byte tags and six-byte addresses. A segment that fills up is
 * split alone, so growth comes in steps of some microseconds. While there is one segment only, it is as small as its
 * members allow. Directory, buckets and table stand in the order of the hash, and a split or merge keeps it: a position
 * in the table is a prefix of the hash and stays meaningful through every change. That is what scanning goes by.
 *
 * A member is its key and, behind it, a payload of the type's own: nothing for a set, the value for a hash, the score
 * for a sorted set. The table neither reads nor compares payloads. */
#ifndef SLIPSTREAM_DATA_MEMBER_TABLE_H
#define SLIPSTREAM_DATA_MEMBER_TABLE_H

#include "server/base/hash.h"
#include "server/base/random.h"

/* --- members --- */

/*   byte 0     length of the key; 255: it stands in the 8 bytes that follow
 *   then       key, payload (neither is aligned) */
struct member {
    uint8_t key_len;
    uint8_t body[];
};

#define MEMBER_LONG_KEY 255

static inline struct bytes member_key(const struct member *m)
{
    if (__builtin_expect(m->key_len != MEMBER_LONG_KEY, 1)) return bytes_make(m->body, m->key_len);
    uint64_t len;
    memcpy(&len, m->body, sizeof len);
    return bytes_make(m->body + sizeof len, len);
}

static inline uint8_t *member_payload(const struct member *m)
{
    struct bytes key = member_key(m);
    return (uint8_t *)(uintptr_t)(key.ptr + key.len);
}

static inline uint64_t member_hash(struct bytes key)
{
    return hash_bytes(key);
}

/* --- the table --- */

#define MEMBER_BUCKET_SLOTS 9

/* One cache line. A tag is 8 bits of the hash that no index uses, never 0: 0 marks a free slot. With a child the last
 * slot holds no member but the address of another bucket, where the entries beyond go; its tag is 0. */
struct member_bucket {
    _Alignas(16) uint8_t tags[MEMBER_BUCKET_SLOTS];
    uint8_t meta; /* top bit: a child; the rest is a part of the segment's count, see member_table.c */
    uint8_t addresses[MEMBER_BUCKET_SLOTS][6];
};

struct member_table {
    uint64_t *directory; /* 1 << depth entries: segment address | depth of the segment << 48 */
    uint64_t single;     /* the directory while depth is 0 */
    size_t count, segments;
    size_t at_full_depth; /* segments whose depth is the directory's: when there are none, it is halved */
    size_t chained;       /* child buckets */
    uint8_t depth;
    uint8_t bucket_bits; /* of a segment; 6 as soon as there are several */
};

/* The table must stay where it is: an empty one points into itself. */
void member_table_init(struct member_table *t);
void member_table_free(struct member_table *t);                             /* with its members */
void member_table_move(struct member_table *to, struct member_table *from); /* `to` is empty; `from` is afterwards */
void member_table_reserve(struct member_table *t, size_t members);          /* of an empty table */
/* Heap bytes, members included; samples 0: all of them are measured, else so many. */
size_t member_table_memory(const struct member_table *t, size_t samples);
struct member *member_table_find(const struct member_table *t, uint64_t hash, struct bytes key); /* or NULL */
/* The member of this hash for which is() says so, or NULL: for who has a hash, but no key. */
struct member *member_table_find_hash(const struct member_table *t, uint64_t hash,
                                      bool (*is)(void *arg, const struct member *m), void *arg);
/* Adds a member whose key is absent, with room for so much payload, which the caller fills in. */
struct member *member_table_insert(struct member_table *t, uint64_t hash, struct bytes key, size_t payload_bytes);
/* Gives a member of the table another amount of payload. Its address may change; what fits of the payload stays. */
struct member *member_table_resize(struct member_table *t, uint64_t hash, struct member *m, size_t payload_bytes);
void member_table_remove(struct member_table *t, uint64_t hash, struct member *m); /* frees it */
bool member_table_delete(struct member_table *t, struct bytes key); /* finds and removes; false: there is none */
/* Ahead of a look-up, as value_ops.prefetch: the bucket, then the member. */
bool member_table_prefetch(const struct member_table *t, uint64_t hash, unsigned step);

/* Each member with the same probability; the table is not empty. */
struct member *member_table_random(const struct member_table *t, struct random_state *random);

/* Visits about `count` members and returns the next cursor, 0 at the end. Every member present during the whole scan is
 * visited at least once. visit must not change the table. Cursors stay below 2^48. */
uint64_t member_table_scan(const struct member_table *t, uint64_t cursor, size_t count,
                           void (*visit)(void *arg, struct member *m), void *arg);

/* --- walking: every member once; the table must not change meanwhile --- */

#define MEMBER_WALK_BATCH 32

struct member_walk {
    const struct member_table *table;
    const struct member_bucket *bucket; /* the next one to take members from; NULL: none */
    size_t entry;                       /* its segment's first entry in the directory */
    unsigned index;                     /* of its chain in the segment */
    unsigned at, pending;
    struct member *batch[MEMBER_WALK_BATCH + MEMBER_BUCKET_SLOTS]; /* on their way into the cache */
};

void member_walk_start(struct member_walk *w, const struct member_table *t);
struct member *member_walk_next(struct member_walk *w); /* NULL: no more */

#endif
