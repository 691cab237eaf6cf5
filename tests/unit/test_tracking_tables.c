/* What CLIENT TRACKING remembers: readers by key, and members by prefix. */
#include "server/base/alloc.h"
#include "server/core/tracking/key_table.h"
#include "server/core/tracking/prefix_table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* --- readers of keys --- */

static bool is_odd(void *context, uint64_t id)
{
    (void)context;
    return id % 2 == 1;
}

static bool is_anybody(void *context, uint64_t id)
{
    (void)context;
    return id != 0;
}

static const struct key_table_filter odd = {is_odd, NULL}, anybody = {is_anybody, NULL};

static void expect_readers(struct key_table *t, struct bytes key, size_t count, const uint64_t *ids)
{
    struct key_readers r;
    cr_assert(key_table_take(t, key, &r));
    cr_assert_eq(r.count, count);
    for (size_t i = 0; i < count; i++) cr_expect_eq(r.ids[i], ids[i]);
    key_readers_free(&r);
}

Test(tracking_tables, a_key_has_each_reader_once)
{
    struct key_table t;
    struct key_readers r;
    key_table_init(&t);
    cr_expect_not(key_table_take(&t, BYTES("a"), &r));
    const uint64_t read_by[] = {7, 3, 7, 9, 3, 1, 8, 5, 8};
    for (size_t i = 0; i < sizeof read_by / sizeof *read_by; i++) key_table_add(&t, BYTES("a"), read_by[i], &anybody);
    key_table_add(&t, BYTES("b"), 7, &anybody);
    key_table_add(&t, BYTES("b"), 7, &anybody);
    key_table_add(&t, BYTES(""), 2, &anybody);
    cr_expect_eq(t.keys, 3);
    cr_expect_eq(t.items, 8);
    expect_readers(&t, BYTES("a"), 6, (const uint64_t[]){1, 3, 5, 7, 8, 9});
    expect_readers(&t, BYTES("b"), 1, (const uint64_t[]){7});
    cr_expect_not(key_table_take(&t, BYTES("b"), &r));
    expect_readers(&t, BYTES(""), 1, (const uint64_t[]){2});
    cr_expect_eq(t.keys, 0);
    cr_expect_eq(t.items, 0);
}

Test(tracking_tables, those_who_are_gone_leave_a_list_that_grows)
{
    struct key_table t;
    key_table_init(&t);
    for (uint64_t id = 1; id <= 100000; id++) key_table_add(&t, BYTES("hot"), id % 2 ? 1 : id, &odd);
    cr_expect_leq(t.items, 8);
    key_table_clear(&t);
    cr_expect_eq(t.items, 0);
}

static void count_key(void *arg, struct bytes key, const struct key_readers *readers)
{
    size_t *seen = arg;
    seen[atoi((const char *)key.ptr)] += readers->count;
}

Test(tracking_tables, keys_are_taken_at_random_until_none_is_left)
{
    enum { KEYS = 3000 };
    static size_t seen[KEYS];
    struct key_table t;
    key_table_init(&t);
    for (int i = 0; i < KEYS; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        key_table_add(&t, bytes_from_text(name), 1, &anybody);
        key_table_add(&t, bytes_from_text(name), 2, &anybody);
    }
    for (int i = 0; i < KEYS; i++) cr_assert(key_table_take_random(&t, count_key, seen));
    cr_expect_not(key_table_take_random(&t, count_key, seen));
    for (int i = 0; i < KEYS; i++) cr_assert_eq(seen[i], 2, "key %d", i);
    cr_expect_eq(t.items, 0);
}

/* --- prefixes --- */

static const struct prefix *the_prefix(const struct prefix_table *t, struct bytes text)
{
    const struct prefix *p = map_get(&t->prefixes, text);
    cr_assert(p != NULL);
    return p;
}

Test(tracking_tables, a_change_is_noted_under_each_prefix_of_its_key)
{
    struct prefix_table t;
    struct list mine, yours;
    int me, you;
    prefix_table_init(&t);
    list_init(&mine);
    list_init(&yours);
    prefix_table_join(&t, &mine, &me, BYTES("a:"));
    prefix_table_join(&t, &mine, &me, BYTES("a:"));
    prefix_table_join(&t, &mine, &me, BYTES("b:"));
    prefix_table_join(&t, &yours, &you, BYTES(""));
    prefix_table_join(&t, &yours, &you, BYTES("a:long:"));
    cr_expect_eq(mine.count, 2);
    cr_expect_eq(t.prefixes.count, 4);

    prefix_table_changed(&t, BYTES("a:long:1"), 5);
    prefix_table_changed(&t, BYTES("a"), 0);
    prefix_table_changed(&t, BYTES("a:2"), 5);
    prefix_table_changed(&t, BYTES("a:long:1"), 6); /* whoever was last */
    cr_expect_eq(t.waiting.count, 3);
    const struct prefix *p = the_prefix(&t, BYTES("a:"));
    cr_assert_eq(p->changed_count, 2);
    cr_expect(bytes_equal(p->changed[0].key, BYTES("a:long:1")));
    cr_expect_eq(p->changed[0].by, 6);
    cr_expect(bytes_equal(p->changed[1].key, BYTES("a:2")));
    cr_expect_eq(the_prefix(&t, BYTES(""))->changed_count, 3);
    cr_expect_eq(the_prefix(&t, BYTES("a:long:"))->changed_count, 1);
    cr_expect_eq(the_prefix(&t, BYTES("b:"))->changed_count, 0);

    prefix_forget_changed(&t, map_get(&t.prefixes, BYTES("")));
    cr_expect_eq(t.waiting.count, 2);
    prefix_table_leave_all(&t, &mine);
    cr_expect_eq(t.prefixes.count, 2);
    cr_expect_eq(t.waiting.count, 1);
    prefix_table_leave_all(&t, &yours);
    cr_expect_eq(t.prefixes.count, 0);
    cr_expect_eq(t.waiting.count, 0);
    cr_expect_eq(t.length_count, 0);
    prefix_table_changed(&t, BYTES("a:3"), 1); /* nobody asks */
    cr_expect_eq(t.waiting.count, 0);
}

Test(tracking_tables, prefixes_overlap_when_one_begins_with_the_other)
{
    cr_expect(prefixes_overlap(BYTES("foo"), BYTES("foobar")));
    cr_expect(prefixes_overlap(BYTES("foobar"), BYTES("foo")));
    cr_expect(prefixes_overlap(BYTES("foo"), BYTES("foo")));
    cr_expect(prefixes_overlap(BYTES(""), BYTES("foo")));
    cr_expect_not(prefixes_overlap(BYTES("foo"), BYTES("fob")));
}
