/* The hash table and the record store from the inside: crowded buckets, splits and merges, blocks and pages. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "server/base/alloc.h"
#include "server/keyspace/keyspace.h"
#include "server/keyspace/table.h"

static void set_up(void)
{
    hash_seed = 777;
}

TestSuite(table, .init = set_up, .timeout = 60);
TestSuite(store, .timeout = 60);

static uint32_t new_record(struct store *store, struct bytes key, bool expires)
{
    struct record_part key_part, value;
    record_part_key(&key_part, key);
    record_part_string(&value, BYTES("v"), ENCODING_EMBSTR, record_value_room(key));
    uint32_t handle = store_alloc(store, record_parts_size(&key_part, &value, expires));
    record_write(store_at(store, handle), 0, &key_part, &value, expires ? 1000 : RECORD_NO_EXPIRY);
    return handle;
}

static void remove_key(struct table *t, struct bytes key)
{
    struct table_slot slot;
    struct record *r = table_find(t, key_hash(key), key, &slot);
    cr_assert_not_null(r);
    table_remove(t, key_hash(key), &slot);
    store_release(t->store, store_handle(t->store, r));
}

static struct bytes key_text(char out[32], uint64_t i)
{
    return bytes_make(out, (size_t)snprintf(out, 32, "%llu", (unsigned long long)i));
}

/* The next number from *i on whose key's hash begins with `bits` zero bits. */
static struct bytes crowded_key(char out[32], uint64_t *i, unsigned bits)
{
    for (;; (*i)++) {
        struct bytes key = key_text(out, *i);
        if (key_hash(key) >> (64 - bits) != 0) continue;
        (*i)++;
        return key;
    }
}

Test(table, keys_of_one_bucket_form_a_chain_and_leave_it)
{
    enum { KEYS = 1500, BITS = 12 };
    struct store *store = store_new();
    struct table t;
    char text[32];
    uint64_t i = 0;
    table_init(&t, store);
    for (int n = 0; n < KEYS; n++) {
        struct bytes key = crowded_key(text, &i, BITS);
        table_insert(&t, key_hash(key), new_record(store, key, n % 5 == 0), n % 5 == 0);
    }
    cr_expect_eq(t.count, KEYS);
    cr_expect_eq(t.expiring, KEYS / 5);
    cr_expect_gt(t.chained, KEYS / BUCKET_SLOTS / 2);
    cr_expect_leq(t.depth, 4, "the directory must not grow for the sake of a few crowded segments");
    static uint32_t handles[KEYS];
    uint64_t next;
    cr_expect_eq(table_collect(&t, 0, false, handles, KEYS, &next), KEYS);
    cr_expect_eq(table_collect(&t, 0, true, handles, KEYS, &next), KEYS / 5);
    i = 0;
    for (int n = 0; n < KEYS; n++) remove_key(&t, crowded_key(text, &i, BITS));
    cr_expect_eq(t.count, 0);
    cr_expect_eq(t.expiring, 0);
    cr_expect_eq(t.chained, 0, "empty overflow buckets are given back");
    cr_expect_eq(store->used, table_blocks(&t));
    table_drop(&t);
    store_free(store);
}

static int count_record(void *arg, struct record *r)
{
    (void)r;
    ++*(size_t *)arg;
    return 0;
}

/* Each segment stands in the directory once for its whole range, its counts and its mark are right, and so are the
 * totals. */
static void check_consistent(const struct table *t)
{
    size_t count = 0, expiring = 0, segments = 0, at_full_depth = 0, walked = 0;
    size_t entries = (size_t)1 << t->depth;
    for (size_t i = 0; i < entries;) {
        uintptr_t entry = t->directory[i];
        unsigned depth = entry_depth(entry);
        cr_assert_leq(depth, t->depth);
        size_t span = entries >> depth;
        cr_assert_eq(i % span, 0);
        for (size_t j = 0; j < span; j++) cr_assert_eq(t->directory[i + j], entry);
        struct segment *s = entry_segment(entry);
        size_t in_segment = 0, expiring_in_segment = 0;
        for (uint64_t b = 0; b < SEGMENT_BUCKETS; b++) {
            uint32_t handles[1];
            uint64_t position = (i << (TABLE_POSITION_BITS - t->depth)) | b << (TABLE_POSITION_BITS - depth - 6), next;
            in_segment += table_collect(t, position, false, handles, 1, &next);
            expiring_in_segment += table_collect(t, position, true, handles, 1, &next);
        }
        cr_assert_eq(*segment_count(s), in_segment);
        cr_assert_eq(*segment_expiring(s), expiring_in_segment);
        size_t marked = mark_tree_next(&t->marks, i);
        cr_assert_eq(marked == i, expiring_in_segment > 0);
        cr_assert_geq(marked, expiring_in_segment > 0 ? i : i + span, "marked by its first entry alone");
        count += in_segment;
        expiring += expiring_in_segment;
        segments++;
        at_full_depth += depth == t->depth;
        i += span;
    }
    table_walk(t, count_record, &walked);
    cr_assert_eq(t->count, count);
    cr_assert_eq(t->count, walked);
    cr_assert_eq(t->expiring, expiring);
    cr_assert_eq(t->segments, segments);
    cr_assert_eq(t->at_full_depth, at_full_depth);
}

Test(table, splits_and_merges_keep_every_key)
{
    enum { KEYS = 40000 };
    struct store *store = store_new();
    struct table t;
    char text[32];
    struct table_slot slot;
    table_init(&t, store);
    for (uint64_t i = 0; i < KEYS; i++) {
        struct bytes key = key_text(text, i);
        t.patient = i / 5000 % 2; /* as if snapshots came and went */
        cr_assert_null(table_find(&t, key_hash(key), key, &slot));
        table_insert(&t, key_hash(key), new_record(store, key, i % 3 == 0), i % 3 == 0);
        if (i % 5000 == 0) check_consistent(&t);
    }
    check_consistent(&t);
    for (uint64_t i = 0; i < KEYS; i++) {
        struct bytes key = key_text(text, i);
        struct record *r = table_find(&t, key_hash(key), key, &slot);
        cr_assert_not_null(r);
        cr_assert_eq(record_expire_ms(r), i % 3 == 0 ? 1000 : RECORD_NO_EXPIRY);
        struct table_slot located;
        cr_assert(table_locate(&t, key_hash(key), store_handle(store, r), &located));
        cr_assert(located.bucket == slot.bucket && located.index == slot.index);
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        remove_key(&t, key_text(text, i));
        if (i % 5000 == 0) check_consistent(&t);
    }
    cr_expect_leq(t.segments, 2);
    cr_expect_leq(t.depth, 1);
    cr_expect_eq(store->used, table_blocks(&t));
    table_drop(&t);
    store_free(store);
}

Test(table, removal_in_hash_order_leaves_no_empty_segments_behind)
{
    struct store *store = store_new();
    struct table t;
    char text[32];
    table_init(&t, store);
    for (uint64_t i = 0; i < 30000; i++) {
        struct bytes key = key_text(text, i);
        table_insert(&t, key_hash(key), new_record(store, key, false), false);
    }
    uint64_t position = 0, next;
    do {
        uint32_t handles[256];
        size_t n = table_collect(&t, position, false, handles, 256, &next);
        for (size_t i = 0; i < n; i++) {
            char copy[32];
            struct bytes key = record_key(store_at(store, handles[i]));
            memcpy(copy, key.ptr, key.len);
            remove_key(&t, bytes_make(copy, key.len));
        }
        position = next;
    } while (position != 0);
    cr_expect_eq(t.count, 0);
    cr_expect_leq(t.segments, 4);
    table_drop(&t);
    store_free(store);
}

/* Few keys with an expiry, so that marks come and go with splits, merges and replacements. */
Test(table, marks_follow_the_keys_with_an_expiry)
{
    enum { KEYS = 30000, EVERY = 997 };
    struct store *store = store_new();
    struct table t;
    char text[32];
    table_init(&t, store);
    for (uint64_t i = 0; i < KEYS; i++) {
        struct bytes key = key_text(text, i);
        table_insert(&t, key_hash(key), new_record(store, key, i % EVERY == 0), i % EVERY == 0);
        if (i % 1000 == 0) check_consistent(&t);
    }
    for (uint64_t i = 0; i < KEYS; i += EVERY / 2) {
        struct bytes key = key_text(text, i);
        struct table_slot slot;
        struct record *r = table_find(&t, key_hash(key), key, &slot);
        bool expires = record_expire_ms(r) == RECORD_NO_EXPIRY;
        table_replace(&t, &slot, new_record(store, key, expires), expires);
        store_release(store, store_handle(store, r));
        check_consistent(&t);
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        remove_key(&t, key_text(text, i));
        if (i % 1000 == 0) check_consistent(&t);
    }
    check_consistent(&t);
    cr_expect_eq(mark_tree_next(&t.marks, 0), MARK_TREE_NONE);
    table_drop(&t);
    store_free(store);
}

/* --- store --- */

Test(store, blocks_are_aligned_apart_and_never_zero)
{
    struct store *s = store_new();
    enum { COUNT = 5000 };
    static uint32_t handles[COUNT];
    static size_t sizes[COUNT];
    size_t used = 0;
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = i % 20 == 19 ? STORE_BLOCK_LARGE : i * 7 % STORE_BLOCK_MAX + 1;
        handles[i] = store_alloc(s, sizes[i]);
        cr_assert_neq(handles[i], 0);
        uintptr_t address = (uintptr_t)store_at(s, handles[i]);
        if (sizes[i] == STORE_BLOCK_LARGE) cr_assert_eq(address % STORE_BLOCK_LARGE, 0);
        if (store_block_size(sizes[i]) == 64) cr_assert_eq(address % 64, 0);
        memset(store_at(s, handles[i]), (int)i, sizes[i]);
        used += store_block_size(sizes[i]);
    }
    cr_expect_eq(s->used, used);
    for (size_t i = 0; i < COUNT; i++) {
        const uint8_t *block = store_at(s, handles[i]);
        cr_assert_eq(store_handle(s, block), handles[i]);
        cr_assert(block[0] == (uint8_t)i && block[sizes[i] - 1] == (uint8_t)i, "block %zu was overwritten", i);
        store_release(s, handles[i]);
    }
    cr_expect_eq(s->used, 0);
    store_free(s);
}

Test(store, empty_pages_serve_other_sizes_and_go_back_to_the_kernel)
{
    struct store *s = store_new();
    size_t counted = mem_used();
    enum { COUNT = 300000 };
    static uint32_t handles[COUNT];
    for (size_t i = 0; i < COUNT; i++) handles[i] = store_alloc(s, 40);
    uint32_t pages = s->page_count;
    size_t resident = store_resident(s);
    cr_expect_geq(mem_used(), counted + COUNT * 40ul);
    for (size_t i = 0; i < COUNT; i++) store_release(s, handles[i]);
    cr_expect_lt(store_resident(s), resident / 2);
    for (size_t i = 0; i < COUNT / 2; i++) handles[i] = store_alloc(s, 72);
    cr_expect_leq(s->page_count, pages + 1);
    for (size_t i = 0; i < COUNT / 2; i++) store_release(s, handles[i]);
    store_free(s);
}
