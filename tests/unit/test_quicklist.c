/* Long lists against a model, under every limit and compress depth, and the list type's two encodings. */
#include <criterion/criterion.h>

#include "server/data/list.h"
#include "server/data/listpack.h"
#include "server/data/settings.h"
#include "tests/unit/test_list_model.h"

TestSuite(quicklist, .timeout = 120);
TestSuite(list, .timeout = 60);

#define ROOM 20000

static bool text_is(struct packed_value v, struct bytes text)
{
    char scratch[I64_TEXT_MAX];
    return bytes_equal(packed_text(&v, scratch), text);
}

static void expect_same(struct quicklist *ql, const struct model *m)
{
    struct quicklist_cursor c;
    size_t i = 0;
    cr_assert_eq(quicklist_count(ql), m->count);
    for (bool on = quicklist_seek(ql, 0, &c); on; on = quicklist_cursor_next(&c), i++)
        cr_assert(text_is(quicklist_cursor_value(&c), m->items[i]));
    quicklist_cursor_close(&c);
    cr_assert_eq(i, m->count);
    for (bool on = quicklist_seek(ql, -1, &c); on; on = quicklist_cursor_prev(&c))
        cr_assert(text_is(quicklist_cursor_value(&c), m->items[--i]));
    quicklist_cursor_close(&c);
    cr_assert_eq(i, 0);
}

static void push(struct quicklist *ql, struct model *m, enum list_end end, struct bytes text)
{
    quicklist_push(ql, end, packed_from(text));
    model_insert(m, end == LIST_HEAD ? 0 : m->count, text);
    cr_assert(text_is(quicklist_at_end(ql, end), text));
}

static void drop(struct quicklist *ql, struct model *m, enum list_end end, size_t count)
{
    if (count > m->count) count = m->count;
    quicklist_drop(ql, end, count);
    model_remove(m, end == LIST_HEAD ? 0 : m->count - count, count);
}

/* Deletes a few elements, one after the other, in one direction. */
static void delete_walking(struct quicklist_cursor *c, struct model *m, struct random_state *r, size_t at)
{
    bool backwards = random_below(r, 2), on = true;
    for (int i = 0; i < 6 && on; i++) {
        cr_assert(text_is(quicklist_cursor_value(c), m->items[at]));
        if (random_below(r, 2)) {
            on = quicklist_cursor_delete(c, backwards);
            model_remove(m, at, 1);
            if (backwards) at--;
        } else {
            on = backwards ? quicklist_cursor_prev(c) : quicklist_cursor_next(c);
            at += backwards ? -1 : 1;
        }
        cr_assert_eq(on, at < m->count); /* one step before the head wraps around */
    }
}

static void change_one(struct quicklist *ql, struct model *m, struct random_state *r, struct bytes text)
{
    struct quicklist_cursor c;
    size_t at = random_below(r, m->count);
    cr_assert(quicklist_seek(ql, random_below(r, 2) ? (int64_t)at : (int64_t)at - (int64_t)m->count, &c));
    cr_assert(text_is(quicklist_cursor_value(&c), m->items[at]));
    switch (random_below(r, 3)) {
    case 0: {
        bool before = random_below(r, 2);
        quicklist_cursor_insert(&c, before, packed_from(text));
        model_insert(m, before ? at : at + 1, text);
        break;
    }
    case 1:
        quicklist_cursor_replace(&c, packed_from(text));
        model_remove(m, at, 1);
        model_insert(m, at, text);
        break;
    default: delete_walking(&c, m, r, at);
    }
    quicklist_cursor_close(&c);
}

static void run_against_model(int fill, int depth, uint64_t seed)
{
    static struct model m;
    static uint8_t room[ROOM];
    struct random_state r;
    random_seed(&r, seed);
    struct quicklist *ql = quicklist_new(fill, depth);
    for (int step = 0; step < 2500; step++) {
        struct bytes text = random_text(&r, room, ROOM);
        enum list_end end = random_below(&r, 2) ? LIST_HEAD : LIST_TAIL;
        uint64_t kind = random_below(&r, 20);
        if (m.count == 0 || (kind < 12 && m.count < 1000))
            push(ql, &m, end, text);
        else if (kind < 14)
            drop(ql, &m, end, random_below(&r, random_below(&r, 10) ? 4 : 200));
        else
            change_one(ql, &m, &r, text);
        if (step % 10 == 0) expect_same(ql, &m);
    }
    struct quicklist *copy = quicklist_copy(ql);
    quicklist_free(ql);
    expect_same(copy, &m);
    quicklist_free(copy);
    model_clear(&m);
}

Test(quicklist, every_change_agrees_with_a_model)
{
    static const int fills[] = {-1, -2, -5, -9, 0, 1, 3, 50};
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++)
        for (int depth = 0; depth <= 2; depth++) run_against_model(fills[i], depth, 100 * i + (uint64_t)depth);
}

Test(quicklist, inner_nodes_are_packed_and_reading_leaves_them_so)
{
    struct quicklist *ql = quicklist_new(-1, 1);
    uint8_t text[1000];
    memset(text, 'c', sizeof text);
    for (int i = 0; i < 400; i++) quicklist_push(ql, LIST_TAIL, packed_string(text, sizeof text));
    size_t packed = quicklist_memory(ql, 0);
    cr_assert_lt(packed, 400 * sizeof text / 5);
    struct quicklist_cursor c;
    for (int64_t i = 0; i < 400; i += 7) {
        cr_assert(quicklist_seek(ql, i, &c));
        cr_assert_eq(quicklist_cursor_value(&c).len, sizeof text);
        quicklist_cursor_close(&c);
    }
    cr_assert_eq(quicklist_memory(ql, 0), packed);
    quicklist_free(ql);
}

Test(quicklist, an_element_larger_than_a_node_stands_alone)
{
    struct quicklist *ql = quicklist_new(-1, 0);
    static uint8_t large[5000];
    quicklist_push(ql, LIST_TAIL, packed_from(BYTES("a")));
    quicklist_push(ql, LIST_TAIL, packed_string(large, sizeof large));
    quicklist_push(ql, LIST_TAIL, packed_from(BYTES("b")));
    cr_assert_eq(quicklist_nodes(ql), 3);
    cr_assert_null(quicklist_only_listpack(ql));
    quicklist_drop(ql, LIST_HEAD, 1);
    cr_assert_eq(quicklist_at_end(ql, LIST_HEAD).len, sizeof large);
    quicklist_drop(ql, LIST_HEAD, 1);
    cr_assert_not_null(quicklist_only_listpack(ql));
    quicklist_free(ql);
}

static void push_text(struct list_value *l, struct bytes text)
{
    list_prepare_growth(l, &text, 1);
    list_push(l, LIST_TAIL, text);
}

Test(list, changes_its_encoding_at_the_limit_and_back_at_half_of_it)
{
    struct data_settings settings = *data_settings;
    settings.list_max_listpack_size = 10;
    data_settings = &settings;
    struct list_value l = list_new();
    for (int i = 0; i < 10; i++) push_text(&l, BYTES("x"));
    cr_assert_eq(l.encoding, ENCODING_LISTPACK);
    push_text(&l, BYTES("x"));
    cr_assert_eq(l.encoding, ENCODING_QUICKLIST);
    list_drop(&l, LIST_TAIL, 5);
    list_settle_shrunk(&l);
    cr_assert_eq(l.encoding, ENCODING_QUICKLIST);
    list_drop(&l, LIST_TAIL, 1);
    list_settle_shrunk(&l);
    cr_assert_eq(l.encoding, ENCODING_LISTPACK);
    cr_assert_eq(list_length(&l), 5);
    list_free(&l);
}
