/* Buckets of the member table: finding, adding, removing, walking; and how it grows and shrinks, one segment at a time.
 * Server process; the snapshot child walks.
 *
 * A hash is not stored: when members have to be spread anew, it is computed again from their keys, in batches whose
 * memory is prefetched together. */
#include "server/data/member_table.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/hash_tags.h"

#define SLOTS               MEMBER_BUCKET_SLOTS
#define ALL_SLOTS           ((1u << SLOTS) - 1)
#define HAS_CHILD           0x80
#define COUNT_BITS          6 /* of a segment's count, in the meta of each of its first two buckets */
#define COUNT_MASK          ((1u << COUNT_BITS) - 1)
#define LEAST_BUCKET_BITS   1
#define SEGMENT_BUCKET_BITS 6
#define SEGMENT_SLOTS       (SLOTS << SEGMENT_BUCKET_BITS)
#define SPLIT_ABOVE(slots)  ((slots)*4 / 5)
#define MERGE_BELOW         (SEGMENT_SLOTS / 4) /* two halves together */
#define MERGE_CHECK_EVERY   16                  /* removals between two looks at the other half */
#define RESERVE_FILL        (SEGMENT_SLOTS * 13 / 20)
#define DEPTH_MAX           32
#define POSITION_BITS       48
#define ADDRESS_MASK        ((1ull << 48) - 1)

_Static_assert(sizeof(struct member_bucket) == 64, "a bucket is one cache line");

/* What an empty table points at, so that a look-up needs no case of its own. Never written. */
static const struct member_bucket empty_segment[1 << LEAST_BUCKET_BITS];

/* --- members --- */

static size_t member_head(size_t key_len)
{
    return sizeof(struct member) + (key_len < MEMBER_LONG_KEY ? 0 : sizeof(uint64_t));
}

static struct member *member_new(struct bytes key, size_t payload_bytes)
{
    size_t head = member_head(key.len);
    struct member *m = mem_alloc(head + key.len + payload_bytes);
    m->key_len = key.len < MEMBER_LONG_KEY ? (uint8_t)key.len : MEMBER_LONG_KEY;
    uint64_t len = key.len;
    if (key.len >= MEMBER_LONG_KEY) memcpy(m->body, &len, sizeof len);
    if (key.len) memcpy((uint8_t *)m + head, key.ptr, key.len);
    return m;
}

static inline bool member_is(const struct member *m, struct bytes key)
{
    if (likely(m->key_len != MEMBER_LONG_KEY)) return m->key_len == key.len && memcmp(m->body, key.ptr, key.len) == 0;
    return bytes_equal(member_key(m), key);
}

/* --- buckets --- */

static inline void *slot_address(const struct member_bucket *b, unsigned i)
{
    uint64_t address = 0;
    memcpy(&address, b->addresses[i], sizeof b->addresses[i]);
    return (void *)(uintptr_t)address;
}

static inline void slot_set(struct member_bucket *b, unsigned i, uint8_t tag, const void *pointer)
{
    uint64_t address = (uintptr_t)pointer;
    CHECK(address <= ADDRESS_MASK);
    b->tags[i] = tag;
    memcpy(b->addresses[i], &address, sizeof b->addresses[i]);
}

/* Bit i: slot i of the bucket has this tag. Tag 0 finds free slots, and the child's. */
static inline unsigned slots_with_tag(const struct member_bucket *b, uint8_t tag)
{
    return hash_tags_match(b->tags, SLOTS, tag);
}

static inline struct member_bucket *bucket_child(const struct member_bucket *b)
{
    return b->meta & HAS_CHILD ? slot_address(b, SLOTS - 1) : NULL;
}

/* --- segments and the directory --- */

static inline struct member_bucket *entry_segment(uint64_t entry)
{
    return (struct member_bucket *)(uintptr_t)(entry & ADDRESS_MASK);
}

static inline unsigned entry_depth(uint64_t entry)
{
    return (unsigned)(entry >> 48);
}

static inline uint64_t table_entry(const struct member_table *t, uint64_t hash)
{
    return t->directory[hash >> 1 >> (63 - t->depth)]; /* in two steps: shifting by 64 is undefined */
}

static inline struct member_bucket *entry_bucket(const struct member_table *t, uint64_t entry, uint64_t hash)
{
    return &entry_segment(entry)[(hash << entry_depth(entry)) >> (64 - t->bucket_bits)];
}

static inline struct member_bucket *table_bucket(const struct member_table *t, uint64_t hash)
{
    return entry_bucket(t, table_entry(t, hash), hash);
}

static inline unsigned segment_count(const struct member_bucket *s)
{
    return (s[0].meta & COUNT_MASK) | (s[1].meta & COUNT_MASK) << COUNT_BITS;
}

static inline void segment_set_count(struct member_bucket *s, unsigned count)
{
    s[0].meta = (uint8_t)((s[0].meta & ~COUNT_MASK) | (count & COUNT_MASK));
    s[1].meta = (uint8_t)((s[1].meta & ~COUNT_MASK) | count >> COUNT_BITS);
}

static struct member_bucket *segment_new(struct member_table *t)
{
    size_t bytes = sizeof(struct member_bucket) << t->bucket_bits;
    t->segments++;
    return memset(mem_alloc(bytes), 0, bytes);
}

static inline unsigned segment_buckets(const struct member_table *t)
{
    return 1u << t->bucket_bits;
}

/* Points every entry of the range that `hash` falls into, at `depth` leading bits, to a segment. */
static void directory_set(struct member_table *t, uint64_t hash, unsigned depth, struct member_bucket *s)
{
    CHECK((uintptr_t)s <= ADDRESS_MASK);
    size_t span = (size_t)1 << (t->depth - depth);
    size_t first = (size_t)(hash >> 1 >> (63 - t->depth)) & ~(span - 1);
    for (size_t i = 0; i < span; i++) t->directory[first + i] = (uintptr_t)s | (uint64_t)depth << 48;
}

static void directory_free(struct member_table *t)
{
    if (t->directory != &t->single) mem_free(t->directory);
}

static void directory_resize(struct member_table *t, unsigned depth)
{
    size_t n = (size_t)1 << depth;
    uint64_t *directory = depth ? mem_alloc(n * sizeof *directory) : &t->single;
    size_t at_full_depth = 0;
    for (size_t i = 0; i < n; i++) {
        directory[i] = t->directory[depth > t->depth ? i >> (depth - t->depth) : i << (t->depth - depth)];
        at_full_depth += entry_depth(directory[i]) == depth;
    }
    directory_free(t);
    t->directory = directory;
    t->depth = (uint8_t)depth;
    t->at_full_depth = at_full_depth;
}

void member_table_init(struct member_table *t)
{
    *t = (struct member_table){.single = (uintptr_t)empty_segment, .bucket_bits = LEAST_BUCKET_BITS};
    t->directory = &t->single;
}

void member_table_move(struct member_table *to, struct member_table *from)
{
    *to = *from;
    if (from->directory == &from->single) to->directory = &to->single;
    member_table_init(from);
}

void member_table_reserve(struct member_table *t, size_t members)
{
    if (t->segments > 0) return;
    while (t->bucket_bits < SEGMENT_BUCKET_BITS && members > SPLIT_ABOVE((size_t)SLOTS << t->bucket_bits))
        t->bucket_bits++;
    unsigned depth = 0;
    while (depth < DEPTH_MAX && members >> depth > RESERVE_FILL) depth++;
    if (depth) t->directory = mem_alloc(sizeof *t->directory << depth);
    t->depth = (uint8_t)depth;
    t->at_full_depth = (size_t)1 << depth;
    for (size_t i = 0; i < t->at_full_depth; i++) t->directory[i] = (uintptr_t)segment_new(t) | (uint64_t)depth << 48;
}

/* --- find, place --- */

struct member *member_table_find(const struct member_table *t, uint64_t hash, struct bytes key)
{
    uint8_t tag = hash_tag(hash);
    for (const struct member_bucket *b = table_bucket(t, hash); b; b = bucket_child(b)) {
        for (unsigned match = slots_with_tag(b, tag); match; match &= match - 1) {
            struct member *m = slot_address(b, (unsigned)__builtin_ctz(match));
            if (likely(member_is(m, key))) return m;
        }
    }
    return NULL;
}

struct member *member_table_find_hash(const struct member_table *t, uint64_t hash,
                                      bool (*is)(void *arg, const struct member *m), void *arg)
{
    for (const struct member_bucket *b = table_bucket(t, hash); b; b = bucket_child(b)) {
        for (unsigned match = slots_with_tag(b, hash_tag(hash)); match; match &= match - 1) {
            struct member *m = slot_address(b, (unsigned)__builtin_ctz(match));
            if (member_hash(member_key(m)) == hash && is(arg, m)) return m;
        }
    }
    return NULL;
}

static void prefetch_member(const struct member_bucket *b, uint64_t hash)
{
    for (unsigned match = slots_with_tag(b, hash_tag(hash)); match; match &= match - 1)
        __builtin_prefetch(slot_address(b, (unsigned)__builtin_ctz(match)));
}

bool member_table_prefetch(const struct member_table *t, uint64_t hash, unsigned step)
{
    const struct member_bucket *b = table_bucket(t, hash);
    if (step == 0)
        __builtin_prefetch(b);
    else
        prefetch_member(b, hash);
    return step == 0;
}

/* Where a member stands that is known to be there. */
static struct member_bucket *locate(struct member_table *t, uint64_t hash, const struct member *m, unsigned *index)
{
    for (struct member_bucket *b = table_bucket(t, hash); b; b = bucket_child(b)) {
        for (unsigned match = slots_with_tag(b, hash_tag(hash)); match; match &= match - 1) {
            *index = (unsigned)__builtin_ctz(match);
            if (slot_address(b, *index) == m) return b;
        }
    }
    UNREACHABLE();
}

/* Turns the last slot into a link to a new bucket, which takes over its entry. */
static struct member_bucket *bucket_extend(struct member_table *t, struct member_bucket *b)
{
    const unsigned last = SLOTS - 1;
    struct member_bucket *child = mem_calloc(1, sizeof *child);
    slot_set(child, 0, b->tags[last], slot_address(b, last));
    slot_set(b, last, 0, child);
    b->meta |= HAS_CHILD;
    t->chained++;
    return child;
}

static void place(struct member_table *t, uint64_t hash, struct member *m)
{
    uint64_t entry = table_entry(t, hash);
    struct member_bucket *s = entry_segment(entry), *b = entry_bucket(t, entry, hash);
    segment_set_count(s, segment_count(s) + 1);
    for (;;) {
        unsigned usable = b->meta & HAS_CHILD ? ALL_SLOTS >> 1 : ALL_SLOTS;
        unsigned free = slots_with_tag(b, 0) & usable;
        if (likely(free)) {
            slot_set(b, (unsigned)__builtin_ctz(free), hash_tag(hash), m);
            return;
        }
        struct member_bucket *child = bucket_child(b);
        b = child ? child : bucket_extend(t, b);
    }
}

/* --- spreading members anew --- */

#define SPREAD_BATCH 32

static void place_batch(struct member_table *t, struct member *const *batch, unsigned n)
{
    for (unsigned i = 0; i < n; i++) place(t, member_hash(member_key(batch[i])), batch[i]);
}

/* Places what these buckets hold where the directory says now, giving the chains back. */
static void spread(struct member_table *t, const struct member_bucket *buckets, unsigned n)
{
    struct member *batch[SPREAD_BATCH + SLOTS];
    unsigned pending = 0;
    for (unsigned i = 0; i < n; i++) {
        struct member_bucket b = buckets[i];
        for (;;) {
            for (unsigned used = ~slots_with_tag(&b, 0) & ALL_SLOTS; used; used &= used - 1) {
                batch[pending] = slot_address(&b, (unsigned)__builtin_ctz(used));
                __builtin_prefetch(batch[pending++]);
            }
            if (pending >= SPREAD_BATCH) {
                place_batch(t, batch, pending);
                pending = 0;
            }
            struct member_bucket *child = bucket_child(&b);
            if (!child) break;
            b = *child;
            mem_free(child);
            t->chained--;
        }
    }
    place_batch(t, batch, pending);
}

/* The only segment gets another size. */
static void segment_resize(struct member_table *t, unsigned bucket_bits)
{
    struct member_bucket *old = entry_segment(t->single);
    unsigned buckets = segment_buckets(t);
    t->bucket_bits = (uint8_t)bucket_bits;
    t->single = (uintptr_t)segment_new(t);
    spread(t, old, buckets);
    mem_free(old);
    t->segments--;
}

static void segment_split(struct member_table *t, uint64_t hash)
{
    struct member_bucket old[1 << SEGMENT_BUCKET_BITS];
    uint64_t entry = table_entry(t, hash);
    unsigned depth = entry_depth(entry) + 1;
    struct member_bucket *low = entry_segment(entry), *high = segment_new(t);
    memcpy(old, low, sizeof old);
    memset(low, 0, sizeof old);
    uint64_t half = 1ull << (64 - depth);
    directory_set(t, hash & ~half, depth, low);
    directory_set(t, hash | half, depth, high);
    if (depth == t->depth) t->at_full_depth += 2;
    spread(t, old, 1 << SEGMENT_BUCKET_BITS);
}

/* The directory stays in proportion to the members whatever their hashes: rather than double it for a few crowded
 * segments, those grow chains. With hashes spread evenly it never comes to that. */
static bool may_split(const struct member_table *t, unsigned depth)
{
    return depth < t->depth || (t->depth < DEPTH_MAX && t->count >> t->depth >= SEGMENT_SLOTS / 8);
}

static void make_room(struct member_table *t, uint64_t hash)
{
    if (unlikely(t->segments == 0)) {
        t->single = (uintptr_t)segment_new(t);
        t->at_full_depth = 1;
    }
    uint64_t entry = table_entry(t, hash);
    unsigned count = segment_count(entry_segment(entry));
    if (likely(count < SPLIT_ABOVE((unsigned)SLOTS << t->bucket_bits))) return;
    if (t->bucket_bits < SEGMENT_BUCKET_BITS) {
        segment_resize(t, t->bucket_bits + 1u);
        return;
    }
    if (may_split(t, entry_depth(entry))) {
        if (entry_depth(entry) == t->depth) directory_resize(t, t->depth + 1u);
        segment_split(t, hash);
    }
    CHECK(segment_count(entry_segment(table_entry(t, hash))) < COUNT_MASK << COUNT_BITS);
}

/* Joins the segment of `hash` with its other half if both are small enough. */
static bool merge_once(struct member_table *t, uint64_t hash)
{
    uint64_t entry = table_entry(t, hash);
    unsigned depth = entry_depth(entry);
    if (depth == 0) return false;
    uint64_t other = table_entry(t, hash ^ 1ull << (64 - depth));
    struct member_bucket *here = entry_segment(entry), *there = entry_segment(other);
    if (entry_depth(other) != depth || segment_count(here) + segment_count(there) >= MERGE_BELOW) return false;
    struct member_bucket old[1 << SEGMENT_BUCKET_BITS];
    memcpy(old, here, sizeof old);
    memset(here, 0, sizeof old);
    directory_set(t, hash, depth - 1, here);
    spread(t, old, 1 << SEGMENT_BUCKET_BITS);
    spread(t, there, 1 << SEGMENT_BUCKET_BITS);
    mem_free(there);
    t->segments--;
    if (depth == t->depth) t->at_full_depth -= 2;
    while (t->depth > 0 && t->at_full_depth == 0) directory_resize(t, t->depth - 1u);
    return true;
}

static void shrink(struct member_table *t, uint64_t hash)
{
    unsigned count = segment_count(entry_segment(table_entry(t, hash)));
    if (count >= MERGE_BELOW || count % MERGE_CHECK_EVERY != 0) return;
    while (merge_once(t, hash)) continue;
    while (t->depth == 0 && t->bucket_bits > LEAST_BUCKET_BITS && t->count * 8 < (size_t)SLOTS << t->bucket_bits)
        segment_resize(t, t->bucket_bits - 1u);
}

/* --- change --- */

struct member *member_table_insert(struct member_table *t, uint64_t hash, struct bytes key, size_t payload_bytes)
{
    struct member *m = member_new(key, payload_bytes);
    make_room(t, hash);
    place(t, hash, m);
    t->count++;
    return m;
}

struct member *member_table_resize(struct member_table *t, uint64_t hash, struct member *m, size_t payload_bytes)
{
    size_t key_len = member_key(m).len, wanted = member_head(key_len) + key_len + payload_bytes, room = mem_size(m);
    if (wanted <= room && wanted >= room / 2) return m;
    unsigned i;
    struct member_bucket *b = locate(t, hash, m, &i);
    struct member *moved = mem_realloc(m, wanted);
    slot_set(b, i, b->tags[i], moved);
    return moved;
}

/* Gives back the child buckets at the end of a chain that have become empty. */
static void chain_trim(struct member_table *t, struct member_bucket *b)
{
    struct member_bucket *child = bucket_child(b);
    if (!child) return;
    chain_trim(t, child);
    if ((child->meta & HAS_CHILD) || slots_with_tag(child, 0) != ALL_SLOTS) return;
    mem_free(child);
    slot_set(b, SLOTS - 1, 0, NULL);
    b->meta &= (uint8_t)~HAS_CHILD;
    t->chained--;
}

void member_table_remove(struct member_table *t, uint64_t hash, struct member *m)
{
    unsigned i;
    struct member_bucket *b = locate(t, hash, m, &i), *s = entry_segment(table_entry(t, hash));
    slot_set(b, i, 0, NULL);
    segment_set_count(s, segment_count(s) - 1);
    t->count--;
    chain_trim(t, table_bucket(t, hash));
    shrink(t, hash);
    mem_free(m);
}

bool member_table_delete(struct member_table *t, struct bytes key)
{
    uint64_t hash = member_hash(key);
    struct member *m = member_table_find(t, hash, key);
    if (m) member_table_remove(t, hash, m);
    return m != NULL;
}

/* --- walk --- */

static size_t entry_span(const struct member_table *t, size_t entry)
{
    return ((size_t)1 << t->depth) >> entry_depth(t->directory[entry]);
}

void member_walk_start(struct member_walk *w, const struct member_table *t)
{
    w->table = t;
    w->entry = w->index = w->at = w->pending = 0;
    w->bucket = entry_segment(t->directory[0]);
}

static void walk_step(struct member_walk *w)
{
    const struct member_table *t = w->table;
    struct member_bucket *child = bucket_child(w->bucket);
    if (unlikely(child)) {
        w->bucket = child;
    } else if (++w->index < segment_buckets(t)) {
        w->bucket = &entry_segment(t->directory[w->entry])[w->index];
    } else {
        w->index = 0;
        w->entry += entry_span(t, w->entry);
        w->bucket = w->entry >> t->depth ? NULL : entry_segment(t->directory[w->entry]);
    }
}

struct member *member_walk_next(struct member_walk *w)
{
    if (likely(w->at < w->pending)) return w->batch[w->at++];
    w->at = w->pending = 0;
    while (w->bucket && w->pending < MEMBER_WALK_BATCH) {
        for (unsigned used = ~slots_with_tag(w->bucket, 0) & ALL_SLOTS; used; used &= used - 1) {
            struct member *m = slot_address(w->bucket, (unsigned)__builtin_ctz(used));
            __builtin_prefetch(m);
            w->batch[w->pending++] = m;
        }
        walk_step(w);
    }
    return w->pending ? w->batch[w->at++] : NULL;
}

void member_table_free(struct member_table *t)
{
    struct member_walk w;
    struct member *m;
    member_walk_start(&w, t);
    while ((m = member_walk_next(&w))) mem_free(m);
    size_t entries = t->segments ? (size_t)1 << t->depth : 0;
    for (size_t i = 0, span; i < entries; i += span) {
        struct member_bucket *s = entry_segment(t->directory[i]);
        span = entry_span(t, i);
        for (unsigned b = 0; b < segment_buckets(t); b++) {
            for (struct member_bucket *child = bucket_child(&s[b]), *next; child; child = next) {
                next = bucket_child(child);
                mem_free(child);
            }
        }
        mem_free(s);
    }
    directory_free(t);
    member_table_init(t);
}

size_t member_table_memory(const struct member_table *t, size_t samples)
{
    struct member_walk w;
    struct member *m;
    size_t bytes = 0, measured = 0;
    if (samples == 0) samples = t->count;
    member_walk_start(&w, t);
    for (; measured < samples && (m = member_walk_next(&w)); measured++) bytes += mem_size(m);
    if (measured) bytes = (size_t)((double)bytes / (double)measured * (double)t->count);
    bytes += (t->segments << t->bucket_bits) * sizeof(struct member_bucket) + t->chained * sizeof(struct member_bucket);
    return bytes + (t->directory == &t->single ? 0 : mem_size(t->directory));
}

/* --- scan --- */

/* The position behind the range of `bits` leading bits that holds `position`; 0 behind the last. */
static uint64_t position_after(uint64_t position, unsigned bits)
{
    uint64_t range = 1ull << (POSITION_BITS - bits);
    return ((position | (range - 1)) + 1) & ((1ull << POSITION_BITS) - 1);
}

/* The cursor is the leading bits of the next hash to visit. Hash order survives splits and merges, so all that lies
 * before it has been visited and all that lies behind has not; when a merge has put the position into the midst of a
 * bucket, the bucket is visited whole, some of it for the second time. */
uint64_t member_table_scan(const struct member_table *t, uint64_t cursor, size_t count,
                           void (*visit)(void *arg, struct member *m), void *arg)
{
    size_t visited = 0;
    cursor &= (1ull << POSITION_BITS) - 1;
    do {
        uint64_t hash = cursor << (64 - POSITION_BITS), entry = table_entry(t, hash);
        if (segment_count(entry_segment(entry)) == 0) {
            cursor = position_after(cursor, entry_depth(entry));
            visited++; /* a look costs too: a sparse table must not hold the loop up */
            continue;
        }
        for (const struct member_bucket *b = entry_bucket(t, entry, hash); b; b = bucket_child(b)) {
            unsigned used = ~slots_with_tag(b, 0) & ALL_SLOTS;
            for (unsigned i = used; i; i &= i - 1) __builtin_prefetch(slot_address(b, (unsigned)__builtin_ctz(i)));
            for (; used; used &= used - 1, visited++) visit(arg, slot_address(b, (unsigned)__builtin_ctz(used)));
        }
        cursor = position_after(cursor, entry_depth(entry) + t->bucket_bits);
    } while (cursor != 0 && visited < count);
    return cursor;
}

/* --- random --- */

#define RANDOM_ATTEMPTS 128
#define CHAIN_EXPECTED  32 /* entries of a bucket and its children; more would make a draw unfair, and do not happen */

static unsigned chain_count(const struct member_bucket *b)
{
    unsigned n = 0;
    for (; b; b = bucket_child(b)) n += (unsigned)__builtin_popcount(~slots_with_tag(b, 0) & ALL_SLOTS);
    return n;
}

static struct member *chain_pick(const struct member_bucket *b, unsigned k)
{
    for (; b; b = bucket_child(b)) {
        for (unsigned used = ~slots_with_tag(b, 0) & ALL_SLOTS; used; used &= used - 1, k--)
            if (k == 0) return slot_address(b, (unsigned)__builtin_ctz(used));
    }
    UNREACHABLE();
}

/* Draws a place until it is taken: every entry is equally likely, as long as no chain is longer than the places. Where
 * that fails, the segment is counted through. */
static struct member *segment_random(const struct member_table *t, const struct member_bucket *s,
                                     struct random_state *random)
{
    for (int i = 0; i < RANDOM_ATTEMPTS; i++) {
        uint64_t draw = random_u64(random);
        const struct member_bucket *b = &s[draw >> 32 & (segment_buckets(t) - 1)];
        unsigned n = chain_count(b), k = draw & (CHAIN_EXPECTED - 1);
        if (n > CHAIN_EXPECTED) break;
        if (k < n) return chain_pick(b, k);
    }
    unsigned k = (unsigned)random_below(random, segment_count(s));
    for (;; s++) {
        unsigned n = chain_count(s);
        if (k < n) return chain_pick(s, k);
        k -= n;
    }
}

/* A segment of depth d is met with probability 2^-d. Accepting it in proportion to n * 2^d, n being its entries, makes
 * every entry of the table equally likely; half of the attempts succeed where entries are spread evenly. */
struct member *member_table_random(const struct member_table *t, struct random_state *random)
{
    CHECK(t->count > 0);
    if (t->depth == 0) return segment_random(t, entry_segment(t->single), random);
    for (int i = 0; i < RANDOM_ATTEMPTS; i++) {
        uint64_t entry = table_entry(t, random_u64(random));
        unsigned n = segment_count(entry_segment(entry));
        if (n > 0 && random_below(random, 2 * t->count) < (uint64_t)n << entry_depth(entry))
            return segment_random(t, entry_segment(entry), random);
    }
    /* Few entries in many segments: the next segment in order from a random place. */
    size_t entry = (size_t)random_below(random, (size_t)1 << t->depth);
    while (segment_count(entry_segment(t->directory[entry])) == 0) entry = (entry + 1) & (((size_t)1 << t->depth) - 1);
    return segment_random(t, entry_segment(t->directory[entry]), random);
}
