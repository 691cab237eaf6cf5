/* The radix tree against a sorted array of the same keys. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/random.h"
#include "server/data/radix_tree.h"

TestSuite(radix_tree, .timeout = 60);

#define MOST_KEYS 400
#define KEY_BYTES 12

struct model_key {
    uint8_t bytes[KEY_BYTES];
    size_t len;
};

struct model {
    struct model_key keys[MOST_KEYS];
    size_t count;
};

static struct bytes bytes_of(const struct model_key *k)
{
    return bytes_make(k->bytes, k->len);
}

static size_t position(const struct model *m, struct bytes key, bool *found)
{
    size_t i = 0;
    while (i < m->count && bytes_compare(bytes_of(&m->keys[i]), key) < 0) i++;
    *found = i < m->count && bytes_equal(bytes_of(&m->keys[i]), key);
    return i;
}

/* Few different bytes, so that beginnings are shared and keys are beginnings of others. */
static struct model_key random_key(struct random_state *r)
{
    struct model_key k = {.len = random_below(r, KEY_BYTES)};
    unsigned kinds = random_below(r, 8) ? 2 : 256;
    for (size_t i = 0; i < k.len; i++) k.bytes[i] = (uint8_t)random_below(r, kinds);
    return k;
}

static void expect_at(struct radix_cursor *c, bool on, const struct model *m, size_t index)
{
    cr_assert_eq(on, index < m->count);
    if (on) cr_assert(bytes_equal(c->key, bytes_of(&m->keys[index])));
}

static void expect_same_order(const struct radix_tree *t, const struct model *m)
{
    struct radix_cursor c;
    size_t i = 0;
    cr_assert_eq(t->count, m->count);
    radix_cursor_init(&c, t);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) expect_at(&c, on, m, i++);
    cr_assert_eq(i, m->count);
    for (bool on = radix_cursor_last(&c); on; on = radix_cursor_prev(&c)) expect_at(&c, on, m, --i);
    cr_assert_eq(i, 0);
    radix_cursor_close(&c);
}

static void expect_same_seeks(const struct radix_tree *t, const struct model *m, struct bytes key)
{
    struct radix_cursor c;
    bool exact;
    size_t i = position(m, key, &exact);
    radix_cursor_init(&c, t);
    expect_at(&c, radix_cursor_seek(&c, RADIX_AT_LEAST, key), m, i);
    expect_at(&c, radix_cursor_seek(&c, RADIX_GREATER, key), m, i + exact);
    expect_at(&c, radix_cursor_seek(&c, RADIX_AT_MOST, key), m, i + exact - 1);
    expect_at(&c, radix_cursor_seek(&c, RADIX_LESS, key), m, i - 1);
    radix_cursor_close(&c);
}

static void change(struct radix_tree *t, struct model *m, struct random_state *r)
{
    struct model_key k = random_key(r);
    bool found;
    size_t i = position(m, bytes_of(&k), &found);
    void *value = (void *)(uintptr_t)(1 + random_below(r, 1000)), *before = radix_tree_find(t, bytes_of(&k));
    cr_assert_eq(before != NULL, found);
    if (random_below(r, 2) && m->count < MOST_KEYS) {
        cr_assert_eq(radix_tree_set(t, bytes_of(&k), value), before);
        cr_assert_eq(radix_tree_find(t, bytes_of(&k)), value);
        if (found) return;
        memmove(m->keys + i + 1, m->keys + i, (m->count++ - i) * sizeof k);
        m->keys[i] = k;
    } else {
        cr_assert_eq(radix_tree_remove(t, bytes_of(&k)), before);
        cr_assert_null(radix_tree_find(t, bytes_of(&k)));
        if (found) memmove(m->keys + i, m->keys + i + 1, (--m->count - i) * sizeof k);
    }
    expect_same_seeks(t, m, bytes_of(&k));
}

Test(radix_tree, agrees_with_a_sorted_array)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct random_state r;
        static struct model m;
        struct radix_tree t;
        random_seed(&r, seed);
        radix_tree_init(&t);
        m.count = 0;
        for (int i = 0; i < 4000; i++) {
            change(&t, &m, &r);
            if (i % 50 == 0) expect_same_order(&t, &m);
        }
        while (m.count) cr_assert_not_null(radix_tree_remove(&t, bytes_of(&m.keys[--m.count])));
        cr_assert_null(t.root);
        cr_assert_eq(t.bytes, 0);
    }
}

Test(radix_tree, holds_every_byte_and_long_keys)
{
    struct radix_tree t = {0};
    uint8_t key[1000] = {0};
    for (unsigned i = 0; i < 256; i++) {
        key[999] = (uint8_t)i;
        cr_assert_null(radix_tree_set(&t, bytes_make(key, sizeof key), &t));
    }
    for (size_t len = 0; len < 999; len++) radix_tree_set(&t, bytes_make(key, len), &t);
    struct radix_cursor c;
    size_t seen = 0;
    radix_cursor_init(&c, &t);
    for (bool on = radix_cursor_first(&c); on; on = radix_cursor_next(&c)) seen++;
    radix_cursor_close(&c);
    cr_assert_eq(seen, 256 + 999);
    radix_tree_clear(&t, NULL);
}

/* As a Redis counts them. */
Test(radix_tree, counts_nodes_as_redis_does)
{
    struct radix_tree t = {0};
    cr_assert_eq(radix_tree_redis_nodes(&t), 1);
    radix_tree_set(&t, BYTES("foo"), &t);
    cr_assert_eq(radix_tree_redis_nodes(&t), 2);
    radix_tree_set(&t, BYTES("footer"), &t);
    cr_assert_eq(radix_tree_redis_nodes(&t), 3);
    radix_tree_set(&t, BYTES("foobar"), &t);
    cr_assert_eq(radix_tree_redis_nodes(&t), 6);
    radix_tree_clear(&t, NULL);
}
