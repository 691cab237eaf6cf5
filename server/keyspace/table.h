/* A database's hash table: an extendible hash of record handles. Server process; the snapshot child walks it.
 *
 * A directory, indexed by the top bits of the hash, points to segments of 64 buckets; a bucket is one cache line. A
 * segment that fills up is split in two, alone, so growth comes in steps of some microseconds and nothing is ever
 * rehashed as a whole. The directory entry carries the segment's depth (how many top bits its keys share), so a look-up
 * touches the directory, one bucket and the record, and nothing else.
 *
 * A segment of depth d uses the next 6 bits as bucket index. So directory, buckets and the whole table stand in the
 * order of the hash, and a split or merge keeps it: bucket b of a segment becomes buckets 2b and 2b + 1 of its two
 * halves. A position in the table is therefore a prefix of the hash, and remains meaningful through every change:
 * SCAN's cursor and the expiry cycle's position are the next prefix to visit, TABLE_POSITION_BITS wide.
 *
 * Segments with keys that have an expiry are marked in a tree of bits beside the directory, by the first entry that
 * points to them. One such key among many millions is found at once, and whoever uses no expiry pays nothing.
 *
 * The table holds handles, not records: who removes a handle frees the record. */
#ifndef SLIPSTREAM_KEYSPACE_TABLE_H
#define SLIPSTREAM_KEYSPACE_TABLE_H

#include "server/base/hash_tags.h"
#include "server/base/random.h"
#include "server/data/expiry_index.h"
#include "server/keyspace/mark_tree.h"
#include "server/keyspace/record_layout.h"
#include "server/keyspace/store.h"

#define BUCKET_SLOTS        12
#define SEGMENT_BUCKET_BITS 6
#define SEGMENT_BUCKETS     (1 << SEGMENT_BUCKET_BITS)
#define SEGMENT_SLOTS       (BUCKET_SLOTS * SEGMENT_BUCKETS)
#define TABLE_POSITION_BITS 48

/* One cache line. The tags are base/hash_tags.h's. With BUCKET_CHILD the last slot holds no record but the handle of
 * another bucket, in the store too, where the entries beyond go; its tag is 0. */
struct bucket {
    uint8_t tags[BUCKET_SLOTS];
    uint16_t meta;          /* bit i < 12: the record of slot i has an expiry; BUCKET_CHILD */
    uint16_t segment_field; /* a field of the segment, spread over its buckets: see struct segment */
    uint32_t handles[BUCKET_SLOTS];
};

#define BUCKET_ALL_SLOTS ((1u << BUCKET_SLOTS) - 1)
#define BUCKET_EXPIRING  BUCKET_ALL_SLOTS
#define BUCKET_CHILD     (1u << BUCKET_SLOTS)

/* Exactly one hardware page. Its own two fields live in spare bytes of its buckets: bucket 0 has the number of records,
 * bucket 1 that of records with an expiry, chains included. */
struct segment {
    struct bucket buckets[SEGMENT_BUCKETS];
};

struct table {
    uintptr_t *directory; /* 1 << depth entries: segment address | the segment's depth */
    unsigned depth;
    size_t count, expiring;
    size_t segments;
    size_t at_full_depth; /* segments whose depth is the directory's: when there are none, it is halved */
    size_t chained;       /* overflow buckets */
    struct mark_tree marks;
    struct store *store;              /* its own; NULL before the first key */
    struct expiry_index field_expiry; /* hashes whose fields expire: field_expiry.c keeps it */
    bool patient;                     /* put splits off as long as that is bearable */
};

/* Where an entry stands. Valid until the next insertion or removal. */
struct table_slot {
    struct segment *segment;
    struct bucket *bucket;
    unsigned index;
};

void table_init(struct table *t, struct store *store);
void table_drop(struct table *t); /* frees the directory; segments and records go with the store */
void table_reserve(struct table *t, size_t keys);
size_t table_memory(const struct table *t); /* bytes: directory, marks and blocks */
size_t table_blocks(const struct table *t); /* bytes of its blocks in the store */

/* NULL: there is none. */
struct record *table_find(const struct table *t, uint64_t hash, struct bytes key, struct table_slot *slot);
bool table_locate(const struct table *t, uint64_t hash, uint32_t handle, struct table_slot *slot);
void table_insert(struct table *t, uint64_t hash, uint32_t handle, bool expiring); /* the key must be absent */
/* By a record of the same key, which is written already. */
void table_replace(struct table *t, const struct table_slot *slot, uint32_t handle, bool expiring);
void table_remove(struct table *t, uint64_t hash, const struct table_slot *slot);

/* --- walking in hash order --- */

/* Adds the handles of the bucket at `position` (of records with an expiry alone, when asked) to `out`, at most
 * `capacity` of them; returns how many the bucket has. *next is the position behind it, 0 at the end. */
size_t table_collect(const struct table *t, uint64_t position, bool only_expiring, uint32_t *out, size_t capacity,
                     uint64_t *next);
/* The first position at or behind `position` whose segment has records (with an expiry, when asked). False: none up to
 * the end. */
bool table_skip_empty(const struct table *t, uint64_t *position, bool only_expiring);
uint32_t table_random(const struct table *t, struct random_state *random, bool only_expiring); /* a handle; 0: empty */

/* Every record, for as long as visit returns 0; prefetches. The table must not change meanwhile, but visit may free the
 * record if the table is dropped afterwards. Returns visit's last answer. */
int table_walk(const struct table *t, int (*visit)(void *arg, struct record *r), void *arg);

/* --- inside the table --- */

static inline struct segment *entry_segment(uintptr_t entry)
{
    return (struct segment *)(entry & ~(uintptr_t)(STORE_BLOCK_LARGE - 1));
}

static inline unsigned entry_depth(uintptr_t entry)
{
    return entry & (STORE_BLOCK_LARGE - 1);
}

static inline uintptr_t table_entry(const struct table *t, uint64_t hash)
{
    return t->directory[hash >> 1 >> (63 - t->depth)]; /* in two steps: shifting by 64 is undefined */
}

/* The first entry of the directory that points to the segment of `hash`: what it is marked by. */
static inline size_t table_first_entry(const struct table *t, uint64_t hash, unsigned segment_depth)
{
    return (size_t)(hash >> 1 >> (63 - segment_depth)) << (t->depth - segment_depth);
}

static inline struct bucket *entry_bucket(uintptr_t entry, uint64_t hash)
{
    unsigned index = (hash << entry_depth(entry)) >> (64 - SEGMENT_BUCKET_BITS);
    return &entry_segment(entry)->buckets[index];
}

static inline uint16_t *segment_count(struct segment *s)
{
    return &s->buckets[0].segment_field;
}

static inline uint16_t *segment_expiring(struct segment *s)
{
    return &s->buckets[1].segment_field;
}

/* Bit i: slot i of the bucket has this tag. Tag 0 finds free slots, and the child's. */
static inline unsigned bucket_match(const struct bucket *b, uint8_t tag)
{
    return hash_tags_match(b->tags, BUCKET_SLOTS, tag);
}

#endif
