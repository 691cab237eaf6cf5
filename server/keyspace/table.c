/* The hash table's buckets: finding, placing, removing and walking entries. How it grows and shrinks is in
 * table_grow.c. Server process; the snapshot child walks. */
#include "server/keyspace/table.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/keyspace/keyspace.h"
#include "server/keyspace/table_grow.h"

_Static_assert(sizeof(struct bucket) == 64, "a bucket is one cache line");
_Static_assert(sizeof(struct segment) == STORE_BLOCK_LARGE, "a segment is one large block");

static struct bucket *bucket_child(const struct table *t, const struct bucket *b)
{
    return b->meta & BUCKET_CHILD ? store_at(t->store, b->handles[BUCKET_SLOTS - 1]) : NULL;
}

static void bucket_put(struct bucket *b, unsigned i, uint8_t tag, uint32_t handle, bool expiring)
{
    b->tags[i] = tag;
    b->handles[i] = handle;
    b->meta = (uint16_t)((b->meta & ~(1u << i)) | (unsigned)expiring << i);
}

/* --- find --- */

struct record *table_find(const struct table *t, uint64_t hash, struct bytes key, struct table_slot *slot)
{
    uintptr_t entry = table_entry(t, hash);
    uint8_t tag = hash_tag(hash);
    for (struct bucket *b = entry_bucket(entry, hash); b; b = bucket_child(t, b)) {
        for (unsigned match = bucket_match(b, tag); match; match &= match - 1) {
            unsigned i = (unsigned)__builtin_ctz(match);
            struct record *r = store_at(t->store, b->handles[i]);
            if (likely(record_key_is(r, key))) {
                *slot = (struct table_slot){entry_segment(entry), b, i};
                return r;
            }
        }
    }
    return NULL;
}

bool table_locate(const struct table *t, uint64_t hash, uint32_t handle, struct table_slot *slot)
{
    uintptr_t entry = table_entry(t, hash);
    for (struct bucket *b = entry_bucket(entry, hash); b; b = bucket_child(t, b)) {
        for (unsigned match = bucket_match(b, hash_tag(hash)); match; match &= match - 1) {
            unsigned i = (unsigned)__builtin_ctz(match);
            if (b->handles[i] == handle) {
                *slot = (struct table_slot){entry_segment(entry), b, i};
                return true;
            }
        }
    }
    return false;
}

/* --- change --- */

/* Turns the last slot into a link to a new bucket, which takes over its entry. */
static struct bucket *bucket_extend(struct table *t, struct bucket *b)
{
    const unsigned last = BUCKET_SLOTS - 1;
    uint32_t handle = store_alloc(t->store, sizeof(struct bucket));
    struct bucket *child = store_at(t->store, handle);
    memset(child, 0, sizeof(*child));
    bucket_put(child, 0, b->tags[last], b->handles[last], b->meta >> last & 1);
    bucket_put(b, last, 0, handle, false);
    b->meta |= BUCKET_CHILD;
    t->chained++;
    return child;
}

void table_place(struct table *t, struct bucket *b, uint8_t tag, uint32_t handle, bool expiring)
{
    for (;;) {
        unsigned usable = b->meta & BUCKET_CHILD ? BUCKET_ALL_SLOTS >> 1 : BUCKET_ALL_SLOTS;
        unsigned free = bucket_match(b, 0) & usable;
        if (free) {
            bucket_put(b, (unsigned)__builtin_ctz(free), tag, handle, expiring);
            return;
        }
        struct bucket *child = bucket_child(t, b);
        b = child ? child : bucket_extend(t, b);
    }
}

/* A segment is marked for as long as it has keys with an expiry. */
static void count_expiring(struct table *t, uint64_t hash, struct segment *s, int change)
{
    uint16_t *count = segment_expiring(s), before = *count;
    *count = (uint16_t)(before + change);
    t->expiring += (size_t)change;
    if (likely(before > 0 && *count > 0)) return;
    size_t entry = table_first_entry(t, hash, entry_depth(table_entry(t, hash)));
    if (*count > 0)
        mark_tree_add(&t->marks, entry, (size_t)1 << t->depth);
    else
        mark_tree_remove(&t->marks, entry);
}

void table_insert(struct table *t, uint64_t hash, uint32_t handle, bool expiring)
{
    uintptr_t entry = table_room(t, hash);
    struct segment *s = entry_segment(entry);
    table_place(t, entry_bucket(entry, hash), hash_tag(hash), handle, expiring);
    *segment_count(s) += 1;
    t->count++;
    if (expiring) count_expiring(t, hash, s, 1); /* another line: only when it must */
}

void table_replace(struct table *t, const struct table_slot *slot, uint32_t handle, bool expiring)
{
    bool was_expiring = slot->bucket->meta >> slot->index & 1;
    bucket_put(slot->bucket, slot->index, slot->bucket->tags[slot->index], handle, expiring);
    if (expiring == was_expiring) return;
    uint64_t hash = key_hash(record_key(store_at(t->store, handle)));
    count_expiring(t, hash, slot->segment, expiring ? 1 : -1);
}

/* Gives back the overflow buckets at the end of a chain that have become empty. */
static void chain_trim(struct table *t, struct bucket *b)
{
    struct bucket *child = bucket_child(t, b);
    if (!child) return;
    chain_trim(t, child);
    if ((child->meta & BUCKET_CHILD) || bucket_match(child, 0) != BUCKET_ALL_SLOTS) return;
    store_release(t->store, b->handles[BUCKET_SLOTS - 1]);
    b->handles[BUCKET_SLOTS - 1] = 0;
    b->meta &= (uint16_t)~BUCKET_CHILD;
    t->chained--;
}

void table_remove(struct table *t, uint64_t hash, const struct table_slot *slot)
{
    bool expiring = slot->bucket->meta >> slot->index & 1;
    bucket_put(slot->bucket, slot->index, 0, 0, false);
    *segment_count(slot->segment) -= 1;
    t->count--;
    if (expiring) count_expiring(t, hash, slot->segment, -1);
    chain_trim(t, entry_bucket(table_entry(t, hash), hash));
    table_shrink(t, hash);
}

/* --- walk --- */

static uint64_t position_hash(uint64_t position)
{
    return position << (64 - TABLE_POSITION_BITS);
}

/* The position behind the range of `bits` leading bits that holds `position`; 0 behind the last. */
static uint64_t position_after(uint64_t position, unsigned bits)
{
    uint64_t range = 1ull << (TABLE_POSITION_BITS - bits);
    return ((position | (range - 1)) + 1) & ((1ull << TABLE_POSITION_BITS) - 1);
}

static unsigned bucket_entries(const struct bucket *b, bool only_expiring)
{
    return only_expiring ? b->meta & BUCKET_EXPIRING : ~bucket_match(b, 0) & BUCKET_ALL_SLOTS;
}

static size_t chain_collect(const struct table *t, const struct bucket *b, bool only_expiring, uint32_t *out,
                            size_t capacity)
{
    size_t n = 0;
    for (; b; b = bucket_child(t, b)) {
        for (unsigned mask = bucket_entries(b, only_expiring); mask; mask &= mask - 1, n++)
            if (n < capacity) out[n] = b->handles[__builtin_ctz(mask)];
    }
    return n;
}

size_t table_collect(const struct table *t, uint64_t position, bool only_expiring, uint32_t *out, size_t capacity,
                     uint64_t *next)
{
    uint64_t hash = position_hash(position);
    uintptr_t entry = table_entry(t, hash);
    *next = position_after(position, entry_depth(entry) + SEGMENT_BUCKET_BITS);
    return chain_collect(t, entry_bucket(entry, hash), only_expiring, out, capacity);
}

static bool skip_to_expiring(const struct table *t, uint64_t *position)
{
    uint64_t hash = position_hash(*position);
    uintptr_t entry = table_entry(t, hash);
    size_t first = table_first_entry(t, hash, entry_depth(entry));
    if (mark_tree_has(&t->marks, first)) return true;
    size_t next = mark_tree_next(&t->marks, first);
    *position = next == MARK_TREE_NONE ? 0 : (uint64_t)next << (TABLE_POSITION_BITS - t->depth);
    return next != MARK_TREE_NONE;
}

bool table_skip_empty(const struct table *t, uint64_t *position, bool only_expiring)
{
    if (only_expiring) return skip_to_expiring(t, position);
    do {
        uintptr_t entry = table_entry(t, position_hash(*position));
        if (*segment_count(entry_segment(entry))) return true;
        *position = position_after(*position, entry_depth(entry));
    } while (*position != 0);
    return false;
}

#define WALK_BATCH 64

struct walk {
    const struct table *table;
    int (*visit)(void *arg, struct record *r);
    void *arg;
    size_t pending;
    struct record *records[WALK_BATCH + BUCKET_SLOTS];
};

static int walk_flush(struct walk *w)
{
    int answer = 0;
    for (size_t i = 0; i < w->pending && answer == 0; i++) answer = w->visit(w->arg, w->records[i]);
    w->pending = 0;
    return answer;
}

static int walk_chain(struct walk *w, const struct bucket *b)
{
    for (; b; b = bucket_child(w->table, b)) {
        for (unsigned mask = bucket_entries(b, false); mask; mask &= mask - 1) {
            struct record *r = store_at(w->table->store, b->handles[__builtin_ctz(mask)]);
            __builtin_prefetch(r);
            w->records[w->pending++] = r;
        }
        int answer = w->pending >= WALK_BATCH ? walk_flush(w) : 0;
        if (answer != 0) return answer;
    }
    return 0;
}

int table_walk(const struct table *t, int (*visit)(void *arg, struct record *r), void *arg)
{
    struct walk w = {.table = t, .visit = visit, .arg = arg};
    size_t entries = (size_t)1 << t->depth;
    for (size_t i = 0; i < entries; i += entries >> entry_depth(t->directory[i])) {
        const struct segment *s = entry_segment(t->directory[i]);
        for (int b = 0; b < SEGMENT_BUCKETS; b++) {
            int answer = walk_chain(&w, &s->buckets[b]);
            if (answer != 0) return answer;
        }
    }
    return walk_flush(&w);
}

/* The k-th of the segment's n entries, k being random: exact, at the price of reading the segment. */
static uint32_t segment_random(const struct table *t, const struct segment *s, struct random_state *random,
                               bool only_expiring, size_t n)
{
    size_t k = random_below(random, n);
    for (int i = 0; i < SEGMENT_BUCKETS; i++) {
        uint32_t handles[8 * BUCKET_SLOTS];
        size_t capacity = sizeof(handles) / sizeof(handles[0]);
        size_t found = chain_collect(t, &s->buckets[i], only_expiring, handles, capacity);
        if (k < found) return handles[k < capacity ? k : capacity - 1];
        k -= found;
    }
    UNREACHABLE();
}

#define RANDOM_ATTEMPTS 128

/* A segment of depth d is met with probability 2^-d. Accepting it in proportion to n * 2^d, n being its entries, makes
 * every entry of the table equally likely; half of the attempts succeed where entries are spread evenly. */
uint32_t table_random(const struct table *t, struct random_state *random, bool only_expiring)
{
    size_t total = only_expiring ? t->expiring : t->count;
    if (total == 0) return 0;
    for (int i = 0; i < RANDOM_ATTEMPTS; i++) {
        uint64_t hash = random_u64(random);
        uintptr_t entry = table_entry(t, hash);
        if (only_expiring && !mark_tree_has(&t->marks, table_first_entry(t, hash, entry_depth(entry)))) continue;
        struct segment *s = entry_segment(entry);
        size_t n = only_expiring ? *segment_expiring(s) : *segment_count(s);
        if (n > 0 && random_below(random, 2 * total) < (uint64_t)n << entry_depth(entry))
            return segment_random(t, s, random, only_expiring, n);
    }
    /* Few entries in many segments: the next one in order from a random place. */
    uint64_t position = random_u64(random) >> (64 - TABLE_POSITION_BITS);
    if (!table_skip_empty(t, &position, only_expiring)) {
        position = 0;
        CHECK(table_skip_empty(t, &position, only_expiring));
    }
    struct segment *s = entry_segment(table_entry(t, position_hash(position)));
    return segment_random(t, s, random, only_expiring, only_expiring ? *segment_expiring(s) : *segment_count(s));
}
