/* How the hash table grows and shrinks: one segment at a time, and the directory by copying. Server process.
 *
 * A split must know one more bit of each hash, and a hash is not stored: it is computed again from the key, in batches
 * whose records are prefetched together. A merge needs no record at all, for two neighbouring buckets simply become
 * one. */
#include "server/keyspace/table_grow.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/keyspace/keyspace.h"

#define SPLIT_ABOVE         (SEGMENT_SLOTS * 78 / 100)
#define PATIENT_SPLIT_ABOVE (SEGMENT_SLOTS * 3 / 2) /* a snapshot runs: chains for a while rather than new pages */
#define MERGE_BELOW         (SEGMENT_SLOTS / 4)     /* two halves together */
#define MERGE_CHECK_EVERY   16                      /* removals between two looks at the other half */
#define RESERVE_FILL        525                     /* expected entries a segment, three deviations under a split */
#define RESERVE_DEPTH_MAX   16 /* an announced count is a hint, and may be wrong: 256 MiB at most */
#define DEPTH_MAX           32
#define BATCH               64

/* What an empty table points at: a look-up needs no case of its own, and an empty database no memory. Never written. */
static const struct segment empty_segment __attribute__((aligned(STORE_BLOCK_LARGE)));
static uintptr_t empty_directory[1] = {(uintptr_t)&empty_segment};

void table_init(struct table *t, struct store *store)
{
    *t = (struct table){.directory = empty_directory, .store = store};
}

void table_drop(struct table *t)
{
    bool patient = t->patient;
    if (t->directory != empty_directory) mem_free(t->directory);
    mark_tree_free(&t->marks);
    expiry_index_clear(&t->field_expiry);
    table_init(t, t->store);
    t->patient = patient;
}

size_t table_blocks(const struct table *t)
{
    return t->segments * sizeof(struct segment) + t->chained * sizeof(struct bucket);
}

size_t table_memory(const struct table *t)
{
    size_t directory = t->directory == empty_directory ? 0 : mem_size(t->directory);
    return table_blocks(t) + directory + mark_tree_memory(&t->marks) + expiry_index_memory(&t->field_expiry);
}

/* --- segments and chains --- */

static struct segment *segment_new(struct table *t)
{
    if (unlikely(!t->store)) t->store = store_new();
    struct segment *s = store_at(t->store, store_alloc(t->store, sizeof(*s)));
    memset(s, 0, sizeof(*s));
    t->segments++;
    return s;
}

static void segment_release(struct table *t, struct segment *s)
{
    store_release(t->store, store_handle(t->store, s));
    t->segments--;
}

/* Calls each(arg, ...) for every entry of a bucket and its chain, giving the chain's buckets back behind it. */
static void bucket_drain(struct table *t, const struct bucket *head,
                         void (*each)(void *arg, uint8_t tag, uint32_t handle, bool expiring), void *arg)
{
    struct bucket copy = *head;
    for (;;) {
        for (unsigned i = 0; i < BUCKET_SLOTS; i++)
            if (copy.tags[i]) each(arg, copy.tags[i], copy.handles[i], copy.meta >> i & 1);
        if (!(copy.meta & BUCKET_CHILD)) return;
        uint32_t child = copy.handles[BUCKET_SLOTS - 1];
        copy = *(struct bucket *)store_at(t->store, child);
        store_release(t->store, child);
        t->chained--;
    }
}

/* --- the directory --- */

/* Points every entry of the range that `hash` falls into, at `depth` leading bits, to a segment. */
static void directory_set(struct table *t, uint64_t hash, unsigned depth, struct segment *s)
{
    size_t span = (size_t)1 << (t->depth - depth);
    size_t first = (size_t)(hash >> 1 >> (63 - t->depth)) & ~(span - 1);
    for (size_t i = 0; i < span; i++) t->directory[first + i] = (uintptr_t)s | depth;
}

static void mark(struct table *t, uint64_t hash, unsigned depth, struct segment *s)
{
    size_t entry = table_first_entry(t, hash, depth);
    if (*segment_expiring(s) > 0)
        mark_tree_add(&t->marks, entry, (size_t)1 << t->depth);
    else if (mark_tree_has(&t->marks, entry))
        mark_tree_remove(&t->marks, entry);
}

static void directory_resize(struct table *t, unsigned depth)
{
    size_t n = (size_t)1 << depth;
    uintptr_t *directory = mem_alloc(n * sizeof(*directory));
    for (size_t i = 0; i < n; i++)
        directory[i] = t->directory[depth > t->depth ? i >> (depth - t->depth) : i << (t->depth - depth)];
    mem_free(t->directory);
    t->directory = directory;
    mark_tree_scale(&t->marks, (int)depth - (int)t->depth);
    t->depth = depth;
    t->at_full_depth = 0;
    for (size_t i = 0; i < n; i++) t->at_full_depth += entry_depth(directory[i]) == depth;
}

void table_reserve(struct table *t, size_t keys)
{
    unsigned depth = 0;
    while (depth < RESERVE_DEPTH_MAX && keys >> depth > RESERVE_FILL) depth++;
    if (t->segments > 0 || depth == 0) return; /* a table in use grows by itself */
    size_t n = (size_t)1 << depth;
    t->directory = mem_alloc(n * sizeof(*t->directory));
    t->depth = depth;
    for (size_t i = 0; i < n; i++) t->directory[i] = (uintptr_t)segment_new(t) | depth;
    t->at_full_depth = n;
}

/* --- split --- */

struct split {
    struct table *table;
    struct segment *halves[2];
    unsigned depth; /* of the halves */
    uint32_t handles[BATCH];
    bool expiring[BATCH];
    unsigned pending;
};

static void split_flush(struct split *split)
{
    struct table *t = split->table;
    for (unsigned i = 0; i < split->pending; i++) {
        uint64_t hash = key_hash(record_key(store_at(t->store, split->handles[i])));
        struct segment *s = split->halves[hash >> (64 - split->depth) & 1];
        table_place(t, entry_bucket((uintptr_t)s | split->depth, hash), hash_tag(hash), split->handles[i],
                    split->expiring[i]);
        *segment_count(s) += 1;
        *segment_expiring(s) += split->expiring[i];
    }
    split->pending = 0;
}

static void split_entry(void *arg, uint8_t tag, uint32_t handle, bool expiring)
{
    (void)tag;
    struct split *split = arg;
    __builtin_prefetch(store_at(split->table->store, handle));
    split->handles[split->pending] = handle;
    split->expiring[split->pending] = expiring;
    if (++split->pending == BATCH) split_flush(split);
}

/* The lower half stays where the segment was. */
static void segment_split(struct table *t, uint64_t hash)
{
    uintptr_t entry = table_entry(t, hash);
    struct segment *low = entry_segment(entry), *high = segment_new(t);
    struct segment old = *low;
    struct split split = {.table = t, .halves = {low, high}, .depth = entry_depth(entry) + 1};
    memset(low, 0, sizeof(*low));
    for (int b = 0; b < SEGMENT_BUCKETS; b++) bucket_drain(t, &old.buckets[b], split_entry, &split);
    split_flush(&split);
    uint64_t half = 1ull << (64 - split.depth);
    directory_set(t, hash & ~half, split.depth, low);
    directory_set(t, hash | half, split.depth, high);
    mark(t, hash & ~half, split.depth, low);
    mark(t, hash | half, split.depth, high);
    if (split.depth == t->depth) t->at_full_depth += 2;
}

/* The directory stays in proportion to the records whatever their hashes: rather than double it for a few crowded
 * segments, those grow chains. With hashes spread evenly it never comes to that. Nor does a full store get segments. */
static bool may_split(const struct table *t, unsigned depth)
{
    if (unlikely(t->store->pressed) && store_is_full(t->store)) return false;
    return depth < t->depth || (t->depth < DEPTH_MAX && t->count >> t->depth >= SEGMENT_SLOTS / 8);
}

uintptr_t table_room(struct table *t, uint64_t hash)
{
    if (unlikely(t->segments == 0)) {
        t->directory = mem_alloc(sizeof(*t->directory));
        t->directory[0] = (uintptr_t)segment_new(t);
        t->at_full_depth = 1;
    }
    uintptr_t entry = table_entry(t, hash);
    unsigned limit = t->patient ? PATIENT_SPLIT_ABOVE : SPLIT_ABOVE;
    while (unlikely(*segment_count(entry_segment(entry)) >= limit) && may_split(t, entry_depth(entry))) {
        if (entry_depth(entry) == t->depth) directory_resize(t, t->depth + 1);
        segment_split(t, hash);
        entry = table_entry(t, hash);
    }
    CHECK(*segment_count(entry_segment(entry)) < UINT16_MAX);
    return entry;
}

/* --- merge --- */

struct merge {
    struct table *table;
    struct bucket *into;
};

static void merge_entry(void *arg, uint8_t tag, uint32_t handle, bool expiring)
{
    struct merge *merge = arg;
    table_place(merge->table, merge->into, tag, handle, expiring);
}

static void segment_merge(struct table *t, uint64_t hash, struct segment *low, struct segment *high, unsigned depth)
{
    struct segment old = *low;
    struct merge merge = {.table = t};
    memset(low, 0, sizeof(*low));
    for (int b = 0; b < SEGMENT_BUCKETS; b++) {
        merge.into = &low->buckets[b / 2];
        bucket_drain(t, &old.buckets[b], merge_entry, &merge);
        merge.into = &low->buckets[SEGMENT_BUCKETS / 2 + b / 2];
        bucket_drain(t, &high->buckets[b], merge_entry, &merge);
    }
    *segment_count(low) = (uint16_t)(*segment_count(&old) + *segment_count(high));
    *segment_expiring(low) = (uint16_t)(*segment_expiring(&old) + *segment_expiring(high));
    segment_release(t, high);
    size_t first = table_first_entry(t, hash, depth), second = first + ((size_t)1 << (t->depth - depth - 1));
    if (mark_tree_has(&t->marks, second)) mark_tree_remove(&t->marks, second);
    directory_set(t, hash, depth, low);
    mark(t, hash, depth, low);
    if (depth + 1 == t->depth) t->at_full_depth -= 2;
    while (t->depth > 0 && t->at_full_depth == 0) directory_resize(t, t->depth - 1);
}

/* Joins the segment of `hash` with its other half if both are small enough. */
static bool merge_once(struct table *t, uint64_t hash)
{
    uintptr_t entry = table_entry(t, hash);
    unsigned depth = entry_depth(entry);
    if (depth == 0) return false;
    uint64_t half = 1ull << (64 - depth);
    uintptr_t other = table_entry(t, hash ^ half);
    struct segment *here = entry_segment(entry), *there = entry_segment(other);
    if (entry_depth(other) != depth || *segment_count(here) + *segment_count(there) >= MERGE_BELOW) return false;
    if (hash & half)
        segment_merge(t, hash, there, here, depth - 1);
    else
        segment_merge(t, hash, here, there, depth - 1);
    return true;
}

/* While a snapshot runs, too: the removals that lead here have already made a private copy of the segment's page. */
void table_shrink(struct table *t, uint64_t hash)
{
    unsigned count = *segment_count(entry_segment(table_entry(t, hash)));
    if (count >= MERGE_BELOW || count % MERGE_CHECK_EVERY != 0) return;
    while (merge_once(t, hash)) continue;
}
