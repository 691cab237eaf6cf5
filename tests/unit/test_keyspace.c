/* The promises of the keyspace's header, one by one. */
#include "tests/unit/test_keyspace_rig.h"

TestSuite(keyspace, .init = set_up, .timeout = 120);

/* --- strings --- */

Test(keyspace, encodings_are_redis_ones)
{
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    char long_text[400];
    memset(long_text, 'v', sizeof(long_text));
    static const struct {
        const char *value;
        enum value_encoding encoding;
    } cases[] = {
        {"hello", ENCODING_EMBSTR},
        {"", ENCODING_EMBSTR},
        {"12345", ENCODING_INT},
        {"-9223372036854775808", ENCODING_INT},
        {"9223372036854775808", ENCODING_EMBSTR},
        {"007", ENCODING_EMBSTR},
        {"-0", ENCODING_EMBSTR},
        {"-", ENCODING_EMBSTR},
        {"+1", ENCODING_EMBSTR},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct record *r = set(db, text("k"), text(cases[i].value));
        cr_expect_eq(record_encoding(r), cases[i].encoding, "%s", cases[i].value);
        expect_string(r, text(cases[i].value));
    }
    cr_expect_eq(record_encoding(set(db, text("k"), bytes_make(long_text, 44))), ENCODING_EMBSTR);
    for (size_t len = 45; len <= sizeof(long_text); len++) {
        struct record *r = set(db, text("k"), bytes_make(long_text, len));
        cr_expect_eq(record_encoding(r), ENCODING_RAW);
        expect_string(r, bytes_make(long_text, len));
    }
    struct record *raw = database_set_string_raw(db, text("k"), key_hash(text("k")), text("12"), false);
    cr_expect_eq(record_encoding(raw), ENCODING_RAW);
    keyspace_free(ks);
}

Test(keyspace, a_small_record_takes_forty_bytes)
{
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    cr_expect_eq(record_memory(set(db, text("0123456789abcdef"), text("0123456789abcdeX"))), 40);
    cr_expect_eq(record_memory(set(db, text("0123456789abcdef"), text("1234567890123456"))), 32);
    keyspace_free(ks);
}

Test(keyspace, strings_grow_by_resize)
{
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    struct record *r = set(db, text("k"), text("42"));
    r = database_set_expiry(db, r, 5000);
    uint8_t *data;
    for (size_t len = 3; len < 3000; len += 7) {
        size_t before = record_string_len(r);
        r = database_string_resize(db, r, len, &data);
        for (size_t i = before; i < len; i++) cr_assert_eq(data[i], 0);
        memset(data + before, 'a', len - before);
        cr_assert_eq(record_string_len(r), len);
        cr_assert_eq(record_encoding(r), ENCODING_RAW);
        cr_assert_eq(record_expire_ms(r), 5000);
    }
    char scratch[I64_TEXT_MAX];
    struct bytes value = record_string(find(db, text("k"), 0), scratch);
    cr_expect(value.ptr[0] == '4' && value.ptr[1] == '2' && value.ptr[value.len - 1] == 'a');
    keyspace_free(ks);
}

/* --- expiry --- */

struct removals {
    int expired, evicted;
    char last[32];
};

static void note_removal(void *context, struct database *db, struct bytes key, enum keyspace_removal why)
{
    struct removals *n = context;
    (void)db;
    if (why == KEY_EXPIRED)
        n->expired++;
    else
        n->evicted++;
    snprintf(n->last, sizeof(n->last), "%.*s", (int)key.len, key.ptr);
}

Test(keyspace, a_master_removes_an_expired_key_when_it_is_met)
{
    struct removals removals = {0};
    struct keyspace_hooks hooks = {.context = &removals, .removing = note_removal};
    struct keyspace *ks = keyspace_new(1, &settings, &hooks);
    struct database *db = keyspace_database(ks, 0);
    database_set_expiry(db, set(db, text("k"), text("v")), 1000);
    cr_expect_not_null(find(db, text("k"), 1000));
    cr_expect_null(find(db, text("k"), 1001));
    cr_expect_eq(database_size(db), 0);
    cr_expect_eq(database_expiring(db), 0);
    cr_expect_eq(removals.expired, 1);
    cr_expect_str_eq(removals.last, "k");
    cr_expect_eq(keyspace_stats(ks)->hits, 1);
    cr_expect_eq(keyspace_stats(ks)->misses, 1);
    cr_expect_eq(keyspace_stats(ks)->expired, 1);
    keyspace_free(ks);
}

Test(keyspace, a_replica_only_hides_an_expired_key)
{
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    struct bytes key = text("k");
    keyspace_set_replica(ks, true);
    database_set_expiry(db, set(db, key, text("v")), 1000);
    cr_expect_null(find(db, key, 2000));
    cr_expect_null(database_find(db, key, key_hash(key), 2000, LOOKUP_WRITE));
    cr_expect_not_null(database_find(db, key, key_hash(key), 2000, LOOKUP_WRITE | LOOKUP_KEEP_EXPIRED));
    cr_expect_eq(keyspace_expire_cycle(ks, 2000, 1000000), 0);
    cr_expect_eq(database_size(db), 1);
    cr_expect_not_null(database_random(db, 2000, false), "a replica with expired keys alone still answers one");
    keyspace_free(ks);
}

Test(keyspace, the_active_cycle_removes_what_nobody_asks_for)
{
    struct keyspace *ks = keyspace_new(2, &settings, NULL);
    struct database *db = keyspace_database(ks, 1);
    char name[32];
    for (size_t i = 0; i < 30000; i++) {
        struct record *r = set(db, numbered(name, i), text("v"));
        if (i % 3 != 0) database_set_expiry(db, r, i % 3 == 1 ? 1000 : 100000);
    }
    size_t removed = 0;
    for (int cycle = 0; cycle < 1000 && removed < 10000; cycle++) removed += keyspace_expire_cycle(ks, 2000, 1000000);
    cr_expect_eq(removed, 10000);
    cr_expect_eq(database_size(db), 20000);
    cr_expect_eq(database_expiring(db), 10000);
    cr_expect_eq(database_average_ttl_ms(db) / 10000, 9);
    keyspace_set_active_expiry(ks, false);
    cr_expect_eq(keyspace_expire_cycle(ks, 200000, 1000000), 0);
    keyspace_free(ks);
}

/* --- SCAN --- */

struct seen {
    uint8_t *times;
    size_t visits;
};

static void note_seen(void *arg, struct record *r)
{
    struct seen *seen = arg;
    struct bytes key = record_key(r);
    uint64_t i;
    cr_assert_eq(parse_u64(bytes_make(key.ptr + 4, key.len - 4), &i), 0);
    seen->times[i] = 1;
    seen->visits++;
}

/* Keys below `stay` are there all the time; keys above come and go between the calls. */
static void scan_while(size_t stay, size_t from, size_t to)
{
    const size_t steps = 40;
    char name[32];
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    size_t highest = from > to ? from : to;
    struct seen seen = {mem_calloc(highest, 1), 0};
    for (size_t i = 0; i < from; i++) set(db, numbered(name, i), text("v"));
    uint64_t cursor = 0;
    size_t at = from, calls = 0;
    do {
        cursor = database_scan(db, cursor, stay / steps + 1, note_seen, &seen);
        cr_assert_lt(cursor, 1ull << 63);
        size_t share = (from > to ? from - to : to - from) / steps * 2;
        for (size_t i = 0; i < share && at != to; i++) {
            if (from < to)
                set(db, numbered(name, at++), text("v"));
            else
                cr_assert(remove_key(db, numbered(name, --at)));
        }
        calls++;
    } while (cursor != 0);
    for (size_t i = 0; i < stay; i++) cr_assert(seen.times[i], "key %zu was missed", i);
    cr_expect_gt(calls, 2);
    mem_free(seen.times);
    keyspace_free(ks);
}

Test(keyspace, scan_misses_nothing_while_the_table_grows)
{
    scan_while(2000, 2000, 60000);
}

Test(keyspace, scan_misses_nothing_while_the_table_shrinks)
{
    scan_while(500, 60000, 500);
}

Test(keyspace, scan_visits_at_least_count_and_every_key_once_at_rest)
{
    char name[32];
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    struct seen seen = {mem_calloc(5000, 1), 0};
    cr_expect_eq(database_scan(db, 0, 10, note_seen, &seen), 0);
    for (size_t i = 0; i < 5000; i++) set(db, numbered(name, i), text("v"));
    uint64_t cursor = 0;
    do {
        size_t before = seen.visits;
        cursor = database_scan(db, cursor, 10, note_seen, &seen);
        if (cursor) cr_assert_geq(seen.visits - before, 10);
    } while (cursor);
    cr_expect_eq(seen.visits, 5000);
    cr_expect_eq(database_scan(db, UINT64_MAX, 10, note_seen, &seen), 0, "any number is a cursor");
    mem_free(seen.times);
    keyspace_free(ks);
}

/* --- whole databases --- */

Test(keyspace, swap_and_move_carry_values_and_expiry)
{
    struct keyspace *ks = keyspace_new(3, &settings, NULL);
    struct database *a = keyspace_database(ks, 0), *b = keyspace_database(ks, 1);
    struct bytes key = text("k"), other = text("a much longer name than the one before");
    set(a, key, text("in a"));
    database_set_expiry(b, set(b, key, text("in b")), 7000);
    keyspace_swap(ks, 0, 1);
    expect_string(find(a, key, 0), text("in b"));
    expect_string(find(b, key, 0), text("in a"));
    cr_expect_eq(database_expiring(a), 1);
    struct record *moved = database_move(a, find(a, key, 0), b, other, key_hash(other));
    expect_string(moved, text("in b"));
    cr_expect_eq(record_expire_ms(moved), 7000);
    cr_expect_eq(database_size(a), 0);
    cr_expect_eq(database_expiring(a), 0);
    cr_expect_eq(database_size(b), 2);
    cr_expect_eq(database_expiring(b), 1);
    expect_string(find(b, other, 0), text("in b"));
    keyspace_free(ks);
}

Test(keyspace, objects_move_by_pointer_and_are_freed_once)
{
    struct keyspace *ks = keyspace_new(2, &settings, NULL);
    struct database *a = keyspace_database(ks, 0), *b = keyspace_database(ks, 1);
    struct bytes key = text("list"), other = text("other"), copy = text("copy");
    struct thing *thing = thing_new(7, 1);
    database_set_object(a, key, key_hash(key), TYPE_LIST, ENCODING_QUICKLIST, thing, false);
    struct record *moved = database_move(a, find(a, key, 0), b, other, key_hash(other));
    cr_expect_eq(record_object(moved), thing);
    struct record *copied = database_copy(moved, a, copy, key_hash(copy));
    cr_expect_neq(record_object(copied), thing);
    cr_expect_eq(((struct thing *)record_object(copied))->payload, 7);
    cr_expect_eq(things_alive, 2);
    set(b, other, text("a string now"));
    cr_expect_eq(things_alive, 1);
    keyspace_free(ks);
    cr_expect_eq(things_alive, 0);
}

Test(keyspace, large_objects_are_freed_aside)
{
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    struct bytes key = text("list");
    database_set_object(db, key, key_hash(key), TYPE_LIST, ENCODING_QUICKLIST, thing_new(1, 1000), false);
    cr_expect(database_delete(db, key, key_hash(key), true));
    workers_drain(WORKER_FREE);
    cr_expect_eq(things_alive, 0);
    cr_expect_eq(keyspace_lazyfree_pending(), 0);
    cr_expect_eq(keyspace_stats(ks)->lazyfreed, 1);
    keyspace_free(ks);
}

Test(keyspace, huge_objects_are_freed_aside_without_being_asked_for)
{
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    struct bytes large = text("large"), huge = text("huge");
    database_set_object(db, large, key_hash(large), TYPE_LIST, ENCODING_QUICKLIST, thing_new(1, 1000), false);
    database_set_object(db, huge, key_hash(huge), TYPE_LIST, ENCODING_QUICKLIST, thing_new(1, 1000000), false);
    cr_expect(database_delete(db, large, key_hash(large), false));
    cr_expect_eq(things_alive, 1);
    cr_expect(database_delete(db, huge, key_hash(huge), false));
    workers_drain(WORKER_FREE);
    cr_expect_eq(things_alive, 0);
    cr_expect_eq(keyspace_stats(ks)->lazyfreed, 1);
    keyspace_free(ks);
}

static void fill(struct database *db, size_t keys)
{
    char name[32], long_value[600];
    memset(long_value, 'x', sizeof(long_value));
    for (size_t i = 0; i < keys; i++) {
        struct bytes key = numbered(name, i);
        if (i % 50 == 0)
            database_set_object(db, key, key_hash(key), TYPE_LIST, ENCODING_QUICKLIST, thing_new(1, i), false);
        else
            set(db, key, bytes_make(long_value, i % sizeof(long_value)));
    }
}

Test(keyspace, flushing_gives_everything_back)
{
    for (int aside = 0; aside < 2; aside++) {
        size_t before = mem_used();
        struct keyspace *ks = keyspace_new(3, &settings, NULL);
        struct database *a = keyspace_database(ks, 0), *b = keyspace_database(ks, 2);
        fill(a, 5000);
        fill(b, 3000);
        database_flush(a, aside);
        cr_expect_eq(database_size(a), 0);
        cr_expect_eq(database_size(b), 3000);
        fill(a, 100);
        keyspace_flush(ks, aside);
        cr_expect_eq(database_size(a) + database_size(b), 0);
        fill(b, 10);
        database_flush(b, aside);
        cr_expect_null(find(b, text("key:1"), 0));
        workers_drain(WORKER_FREE);
        cr_expect_eq(things_alive, 0);
        keyspace_free(ks);
        cr_expect_eq(mem_used(), before);
    }
}

Test(keyspace, deleting_gives_memory_back_and_it_is_used_again)
{
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    char name[32];
    struct keyspace_memory full, empty, again;
    for (size_t i = 0; i < 400000; i++) set(db, numbered(name, i), text("some value here"));
    keyspace_memory(ks, &full);
    for (size_t i = 0; i < 400000; i++) cr_assert(remove_key(db, numbered(name, i)));
    keyspace_memory(ks, &empty);
    cr_expect_eq(empty.store_used, 0);
    cr_expect_lt(empty.store_resident, full.store_resident / 2);
    cr_expect_lt(empty.table_bytes, full.table_bytes / 100);
    for (size_t i = 0; i < 400000; i++) set(db, numbered(name, i), text("some value here"));
    keyspace_memory(ks, &again);
    cr_expect_leq(again.store_reserved, full.store_reserved);
    cr_expect_eq(again.store_used, full.store_used);
    keyspace_free(ks);
}

Test(keyspace, reserved_tables_do_not_split)
{
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    char name[32];
    struct keyspace_memory before, after;
    database_reserve(db, 50000);
    keyspace_memory(ks, &before);
    for (size_t i = 0; i < 50000; i++) set(db, numbered(name, i), text("v"));
    keyspace_memory(ks, &after);
    cr_expect_lt(after.table_bytes, before.table_bytes + before.table_bytes / 10);
    cr_expect_eq(database_size(db), 50000);
    keyspace_free(ks);
}

/* --- random keys and eviction --- */

Test(keyspace, random_keys_are_evenly_likely)
{
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    char name[32];
    int times[1000] = {0};
    cr_expect_null(database_random(db, 0, false));
    for (size_t i = 0; i < 1000; i++) {
        struct record *r = set(db, numbered(name, i), text("v"));
        if (i % 100 == 0) database_set_expiry(db, r, 1000);
    }
    for (int i = 0; i < 200000; i++) {
        uint64_t k;
        struct bytes key = record_key(database_random(db, 0, false));
        parse_u64(bytes_make(key.ptr + 4, key.len - 4), &k);
        times[k]++;
    }
    for (int i = 0; i < 1000; i++) cr_expect(times[i] > 120 && times[i] < 290, "key %d: %d times of 200", i, times[i]);
    for (int i = 0; i < 100; i++) cr_expect_neq(record_expire_ms(database_random(db, 0, true)), RECORD_NO_EXPIRY);
    for (int i = 0; i < 100; i++) cr_assert_eq(record_expire_ms(database_random(db, 2000, false)), RECORD_NO_EXPIRY);
    keyspace_free(ks);
}

static size_t evict_some(enum eviction_policy policy, int *old_evicted)
{
    struct removals removals = {0};
    struct keyspace_hooks hooks = {.context = &removals, .removing = note_removal};
    settings.maxmemory_policy = policy;
    struct keyspace *ks = keyspace_new(2, &settings, &hooks);
    struct database *db = keyspace_database(ks, 1);
    char name[32];
    for (size_t i = 0; i < 2000; i++) {
        keyspace_set_access_clock(ks, (int64_t)i * 1000);
        struct record *r = set(db, numbered(name, i), text("some value here"));
        if (i % 2 == 0) r = database_set_expiry(db, r, 10000000 + (int64_t)i * 1000);
        database_set_access(db, r, -1, i < 1000 ? 1 : 200);
    }
    settings.maxmemory_bytes = 1 << 20;
    cr_expect_eq(keyspace_evict(ks, 2000000, settings.maxmemory_bytes), 0);
    cr_expect_eq(removals.evicted, 0);
    cr_expect_eq(keyspace_evict(ks, 2000000, settings.maxmemory_bytes + 10000), 0);
    size_t evicted = (size_t)removals.evicted;
    cr_expect_eq(keyspace_stats(ks)->evicted, evicted);
    cr_expect_eq(database_size(db), 2000 - evicted);
    int old_left = 0, even_left = 0;
    for (size_t i = 0; i < 2000; i++) {
        struct bytes key = numbered(name, i);
        if (!database_find(db, key, key_hash(key), 0, LOOKUP_NO_TOUCH)) continue;
        old_left += i < 1000;
        even_left += i % 2 == 0;
    }
    *old_evicted = 1000 - old_left;
    bool is_volatile = policy == EVICT_VOLATILE_LRU || policy == EVICT_VOLATILE_LFU || policy == EVICT_VOLATILE_TTL ||
                       policy == EVICT_VOLATILE_RANDOM;
    if (is_volatile) cr_expect_eq((size_t)even_left, 1000 - evicted, "only keys with an expiry may go");
    int all = keyspace_evict(ks, 2000000, 1 << 30);
    cr_expect_eq(all, -1);
    cr_expect_eq(database_size(db), is_volatile ? 1000 : 0);
    keyspace_free(ks);
    settings.maxmemory_bytes = 0;
    return evicted;
}

Test(keyspace, eviction_prefers_the_worst)
{
    static const enum eviction_policy ordered[] = {EVICT_ALLKEYS_LRU, EVICT_VOLATILE_LRU, EVICT_ALLKEYS_LFU,
                                                   EVICT_VOLATILE_LFU, EVICT_VOLATILE_TTL};
    int old;
    for (size_t i = 0; i < sizeof(ordered) / sizeof(ordered[0]); i++) {
        size_t evicted = evict_some(ordered[i], &old);
        cr_expect(evicted > 100 && evicted < 500, "%zu", evicted);
        cr_expect_geq((size_t)old, evicted * 9 / 10, "policy %d: %d old of %zu", ordered[i], old, evicted);
    }
    size_t evicted = evict_some(EVICT_ALLKEYS_RANDOM, &old);
    cr_expect(old > (int)evicted / 4 && old < (int)evicted * 3 / 4);
    evict_some(EVICT_VOLATILE_RANDOM, &old);
}

Test(keyspace, without_a_policy_nothing_is_evicted)
{
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    set(keyspace_database(ks, 0), text("k"), text("v"));
    settings.maxmemory_bytes = 1000;
    cr_expect_eq(keyspace_evict(ks, 0, 2000), -1);
    settings.replica_ignore_maxmemory = true;
    keyspace_set_replica(ks, true);
    cr_expect_eq(keyspace_evict(ks, 0, 2000), 0);
    keyspace_free(ks);
}

Test(keyspace, the_access_clock_follows_use)
{
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    struct bytes key = text("k");
    keyspace_set_access_clock(ks, 10000);
    set(db, key, text("v"));
    keyspace_set_access_clock(ks, 40000);
    struct record *r = database_find(db, key, key_hash(key), 40000, LOOKUP_NO_TOUCH);
    cr_expect_eq(keyspace_idle_s(ks, r), 30);
    keyspace_set_snapshot_running(ks, true);
    cr_expect_eq(keyspace_idle_s(ks, find(db, key, 40000)), 30, "no write to a page shared with a snapshot");
    keyspace_set_snapshot_running(ks, false);
    cr_expect_eq(keyspace_idle_s(ks, find(db, key, 40000)), 0);
    settings.maxmemory_policy = EVICT_ALLKEYS_LFU;
    r = set(db, text("f"), text("v"));
    cr_expect_eq(keyspace_lfu(ks, r), 5);
    for (int i = 0; i < 2000; i++) find(db, text("f"), 40000);
    int counter = keyspace_lfu(ks, find(db, text("f"), 40000));
    cr_expect(counter > 10 && counter < 100, "%d", counter);
    keyspace_set_access_clock(ks, 40000 + 5 * 60000);
    cr_expect_eq(keyspace_lfu(ks, r), counter - 5);
    keyspace_free(ks);
}

static struct record *peek(struct database *db, const char *key)
{
    return database_peek(db, text(key), key_hash(text(key)));
}

Test(keyspace, a_change_of_policy_leaves_the_clocks_what_they_were)
{
    const int64_t minute_ms = 60000;
    struct keyspace *ks = keyspace_new(1, &settings, NULL);
    struct database *db = keyspace_database(ks, 0);
    settings.maxmemory_policy = EVICT_ALLKEYS_LRU;
    keyspace_set_access_clock(ks, 100000 * minute_ms);
    set(db, text("old"), text("v"));
    set(db, text("written"), text("v"));
    keyspace_set_access_clock(ks, 100050 * minute_ms);
    settings.maxmemory_policy = EVICT_ALLKEYS_LFU;
    keyspace_policy_changed(ks);
    cr_expect_eq(keyspace_lfu(ks, peek(db, "old")), 5, "counts as new when the counting began");
    cr_expect_eq(keyspace_lfu(ks, set(db, text("written"), text("w"))), 5);
    set(db, text("new"), text("v"));
    keyspace_set_access_clock(ks, 100052 * minute_ms);
    cr_expect_eq(keyspace_lfu(ks, peek(db, "old")), 3);
    cr_expect_eq(keyspace_lfu(ks, peek(db, "written")), 3);
    database_set_expiry(db, peek(db, "old"), 99999999999999);
    cr_expect_eq(keyspace_lfu(ks, peek(db, "old")), 3, "in another place, too");
    settings.maxmemory_policy = EVICT_NONE;
    keyspace_policy_changed(ks);
    cr_expect_eq(keyspace_idle_s(ks, peek(db, "old")), 52 * 60);
    cr_expect_eq(keyspace_idle_s(ks, peek(db, "new")), 2 * 60);
    find(db, text("new"), 100052 * minute_ms);
    cr_expect_eq(keyspace_idle_s(ks, peek(db, "new")), 0);
    keyspace_free(ks);
}

/* --- DEBUG DIGEST --- */

static void expect_digest(struct keyspace *ks, const char *want)
{
    uint8_t digest[20];
    char hex[41];
    keyspace_digest(ks, digest);
    for (int i = 0; i < 20; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    cr_expect_str_eq(hex, want);
}

/* The digests are what redis-server 7.0.15 answered for the same data. */
Test(keyspace, digests_equal_a_real_servers)
{
    struct keyspace *ks = keyspace_new(16, &settings, NULL);
    struct database *db = keyspace_database(ks, 0), *third = keyspace_database(ks, 3);
    expect_digest(ks, "0000000000000000000000000000000000000000");
    set(db, text("a"), text("hello"));
    expect_digest(ks, "7bba0c6c0ba7cf343554878a513cce31a28c4abb");
    set(db, text("a"), text("12345"));
    expect_digest(ks, "4fc990aaa2dea1f86cceff91093436e70465dc5d");
    database_set_expiry(db, set(db, text("a"), text("hello")), 99999999999999);
    expect_digest(ks, "e715150f7db1d20d8906df2c830426b4f563b4bf");
    set(db, text("a"), text("hello"));
    set(third, text("b"), text("world"));
    expect_digest(ks, "4b3e247b8bbaeec97b98664fe2cc09bf0f86274c");
    set(third, text("c"), text("77"));
    expect_digest(ks, "1edf99bbae7a12f5e40e3c91e73e43784914f722");
    database_flush(third, false);
    set(db, text("b"), text("world"));
    expect_digest(ks, "52911a260cc1a27cb0495bb78fe951d62d5e357e");
    keyspace_free(ks);
}
