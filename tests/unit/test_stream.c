/* Streams: entries against a plain array, trims, groups, and listpacks from elsewhere. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "server/base/random.h"
#include "server/data/listpack.h"
#include "server/data/stream_group.h"

TestSuite(stream, .timeout = 60);

#define ENTRIES 1000

struct model {
    struct stream_id ids[ENTRIES];
    size_t count;
};

static void add(struct stream *s, struct stream_id id, bool same_fields)
{
    const struct bytes usual[] = {BYTES("sensor"), BYTES("17"), BYTES("value"), BYTES("text")};
    const struct bytes other[] = {BYTES("else"), BYTES("-3")};
    if (same_fields)
        stream_append(s, id, 4, usual);
    else
        stream_append(s, id, 2, other);
}

static struct stream *random_stream(struct random_state *r, struct model *m)
{
    struct stream *s = stream_new();
    struct stream_id id = {0, 0};
    for (m->count = 0; m->count < ENTRIES; m->count++) {
        id = random_below(r, 3) ? (struct stream_id){id.ms, id.seq + 1 + random_below(r, 3)}
                                : (struct stream_id){id.ms + 1 + random_below(r, 300), random_below(r, 2)};
        m->ids[m->count] = id;
        add(s, id, random_below(r, 4) != 0);
    }
    return s;
}

static void expect_range(const struct stream *s, const struct model *m, size_t from, size_t to, bool backwards)
{
    struct stream_cursor c;
    size_t seen = 0;
    stream_cursor_open(&c, s, m->ids[from], m->ids[to], backwards);
    for (; stream_cursor_next(&c); seen++) {
        struct packed_value field, value;
        size_t pairs = 0;
        cr_assert_eq(stream_id_compare(c.id, m->ids[backwards ? to - seen : from + seen]), 0);
        while (c.id.seq % 2 && stream_cursor_pair(&c, &field, &value)) pairs++;
        if (c.id.seq % 2) cr_assert_eq(pairs, c.field_count);
    }
    stream_cursor_close(&c);
    cr_assert_eq(seen, to - from + 1);
}

static void expect_same(const struct stream *s, const struct model *m, struct random_state *r)
{
    cr_assert_eq(s->length, m->count);
    if (!m->count) return;
    expect_range(s, m, 0, m->count - 1, false);
    expect_range(s, m, 0, m->count - 1, true);
    for (int i = 0; i < 20; i++) {
        size_t a = random_below(r, m->count), b = random_below(r, m->count);
        expect_range(s, m, a < b ? a : b, a < b ? b : a, i % 2);
    }
    cr_assert_eq(stream_id_compare(s->first_id, m->ids[0]), 0);
    cr_assert_eq(stream_id_compare(stream_edge_id(s, true), m->ids[m->count - 1]), 0);
}

Test(stream, ranges_and_deletions_agree_with_an_array)
{
    struct random_state r;
    static struct model m;
    random_seed(&r, 7);
    struct stream *s = random_stream(&r, &m);
    expect_same(s, &m, &r);
    while (m.count) {
        size_t i = random_below(&r, 3) ? random_below(&r, m.count) : 0;
        cr_assert(stream_delete(s, m.ids[i]));
        cr_assert_not(stream_delete(s, m.ids[i]));
        cr_assert_not(stream_has(s, m.ids[i]));
        memmove(m.ids + i, m.ids + i + 1, (--m.count - i) * sizeof *m.ids);
        if (m.count % 50 == 0) expect_same(s, &m, &r);
    }
    cr_assert_eq(s->nodes.count, 0);
    cr_assert_null(s->tail);
    add(s, (struct stream_id){s->last_id.ms + 1, 0}, true);
    cr_assert_eq(s->length, 1);
    stream_free(s);
}

Test(stream, trims_exactly_or_by_whole_nodes)
{
    struct random_state r;
    static struct model m;
    random_seed(&r, 8);
    struct stream *s = random_stream(&r, &m);
    size_t gone = 0;
    while (s->length > 100) {
        struct stream_trim by_length = {.by = STREAM_TRIM_MAXLEN, .max_len = s->length - random_below(&r, 90)};
        struct stream_trim by_id = {.by = STREAM_TRIM_MINID, .min_id = m.ids[gone + random_below(&r, 90)]};
        struct stream_trim *t = random_below(&r, 2) ? &by_length : &by_id;
        t->approximate = random_below(&r, 2);
        size_t most = t == &by_length ? s->length - by_length.max_len : 0;
        while (t == &by_id && stream_id_compare(m.ids[gone + most], by_id.min_id) < 0) most++;
        uint64_t removed = stream_trim(s, t);
        cr_assert(t->approximate ? removed <= most : removed == most);
        gone += removed;
        expect_range(s, &m, gone, ENTRIES - 1, false);
        cr_assert_eq(s->length, ENTRIES - gone);
    }
    struct stream_trim all = {.by = STREAM_TRIM_MAXLEN};
    cr_assert_eq(stream_trim(s, &all), ENTRIES - gone);
    cr_assert_eq(s->length, 0);
    stream_free(s);
}

Test(stream, groups_keep_pending_entries_with_one_consumer_each)
{
    struct stream *s = stream_new();
    struct stream_group *g = stream_group_create(s, BYTES("g"), STREAM_ID_LEAST, STREAM_ENTRIES_READ_UNKNOWN);
    cr_assert_null(stream_group_create(s, BYTES("g"), STREAM_ID_LEAST, 0));
    struct stream_consumer *a = stream_consumer_create(g, BYTES("a"), 1), *b = stream_consumer_create(g, BYTES("b"), 2);
    for (uint64_t i = 1; i <= 100; i++) stream_pending_add(g, (struct stream_id){i, 0}, i % 2 ? a : b, 5, 1);
    stream_pending_give(stream_pending_find(g, (struct stream_id){1, 0}), (struct stream_id){1, 0}, b);
    cr_assert_eq(a->pending.count, 49);
    cr_assert_eq(b->pending.count, 51);
    cr_assert(stream_pending_remove(g, (struct stream_id){1, 0}));
    cr_assert_not(stream_pending_remove(g, (struct stream_id){1, 0}));
    stream_consumer_delete(g, a);
    cr_assert_eq(g->pending.count, 50);
    cr_assert_null(stream_pending_find(g, (struct stream_id){3, 0}));
    cr_assert(stream_group_destroy(s, BYTES("g")));
    stream_free(s);
}

/* A writer may take more bytes for a number than are needed: what is then changed in place does not fit its place. */
static uint8_t *node_with_long_flags(void)
{
    const struct packed_value head[] = {packed_integer(3), packed_integer(0), packed_integer(1),
                                        packed_string((const uint8_t *)"f", 1), packed_integer(0)};
    uint8_t *lp = listpack_append_several(listpack_new(0), head, 5);
    for (int i = 0; i < 3; i++) {
        size_t at = listpack_bytes(lp) - 1;
        /* 130 takes two bytes, the second of which is then made a 2. */
        const struct packed_value entry[] = {packed_integer(130), packed_integer(i), packed_integer(0),
                                             packed_string((const uint8_t *)"value", 5), packed_integer(4)};
        lp = listpack_append_several(lp, entry, 5);
        lp[at + 1] = 2;
    }
    return lp;
}

Test(stream, flags_in_a_longer_form_are_no_trouble)
{
    struct stream *s = stream_new();
    struct stream_trim trim = {.by = STREAM_TRIM_MAXLEN, .max_len = 1};
    stream_append_node(s, (struct stream_id){1, 0}, node_with_long_flags(), 3);
    cr_assert_eq(stream_trim(s, &trim), 2);
    cr_assert_eq(s->length, 1);
    cr_assert_not(stream_has(s, (struct stream_id){1, 0}));
    cr_assert_not(stream_has(s, (struct stream_id){2, 0}));
    cr_assert(stream_has(s, (struct stream_id){3, 0}));
    cr_assert(stream_delete(s, (struct stream_id){3, 0}));
    cr_assert_eq(s->length, 0);
    stream_free(s);
}

/* Whatever single bit of a node is wrong: accepted or refused, and what is accepted can be walked. */
/* --- how far a group has read --- */

static void append_ids(struct stream *s, uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i <= last; i++) add(s, (struct stream_id){i, 0}, true);
}

static void trim_to(struct stream *s, uint64_t length)
{
    struct stream_trim trim = {.by = STREAM_TRIM_MAXLEN, .max_len = length};
    stream_trim(s, &trim);
}

/* As XREADGROUP does it; count 0: all. */
static void read_entries(struct stream *s, struct stream_group *g, size_t count)
{
    struct stream_cursor c;
    struct stream_id start = g->last_id;
    stream_id_increment(&start);
    stream_cursor_open(&c, s, start, STREAM_ID_MOST, false);
    for (size_t i = 0; (!count || i < count) && stream_cursor_next(&c); i++) stream_group_advance(s, g, c.id);
    stream_cursor_close(&c);
}

#define LAG_UNKNOWN INT64_MIN

static void expect_lag(const struct stream *s, const struct stream_group *g, int64_t lag)
{
    int64_t found;
    if (!stream_group_lag(s, g, &found)) found = LAG_UNKNOWN;
    cr_expect_eq(found, lag, "%lld and not %lld", (long long)found, (long long)lag);
}

Test(stream, the_lag_of_a_group_counts_no_entry_that_was_trimmed)
{
    struct stream *s = stream_new();
    append_ids(s, 1, 5);
    struct stream_group *g = stream_group_create(s, BYTES("g"), STREAM_ID_LEAST, 0);
    expect_lag(s, g, 5);
    read_entries(s, g, 1);
    expect_lag(s, g, 4);
    trim_to(s, 1);
    expect_lag(s, g, 1);
    read_entries(s, g, 0);
    expect_lag(s, g, 0);
    cr_expect_eq(g->entries_read, 5);
    append_ids(s, 6, 8);
    expect_lag(s, g, 3);
    trim_to(s, 0);
    expect_lag(s, g, 0);
    append_ids(s, 9, 10);
    expect_lag(s, g, 2);
    read_entries(s, g, 1);
    expect_lag(s, g, 1);
    cr_expect_eq(g->entries_read, 9);
    stream_free(s);
}

Test(stream, the_lag_of_a_group_counts_no_entry_that_was_deleted)
{
    struct stream *s = stream_new();
    struct stream_group *g = stream_group_create(s, BYTES("g"), STREAM_ID_LEAST, STREAM_ENTRIES_READ_UNKNOWN);
    append_ids(s, 1, 2);
    read_entries(s, g, 0);
    append_ids(s, 3, 4);
    expect_lag(s, g, 2);
    stream_delete(s, (struct stream_id){1, 0});
    expect_lag(s, g, 2);
    stream_delete(s, (struct stream_id){2, 0});
    expect_lag(s, g, 2);
    stream_delete(s, (struct stream_id){3, 0});
    expect_lag(s, g, 1); /* the deleted one stood before all that is left */
    append_ids(s, 5, 6);
    stream_delete(s, (struct stream_id){5, 0});
    expect_lag(s, g, LAG_UNKNOWN); /* between: how many others were is not known */
    read_entries(s, g, 0);
    expect_lag(s, g, 0);
    cr_expect_eq(g->entries_read, 6);
    stream_free(s);
}

Test(stream, a_damaged_node_does_no_harm)
{
    struct stream *s = stream_new();
    for (uint64_t i = 1; i <= 12; i++) add(s, (struct stream_id){i, i % 3}, i % 4 != 0);
    stream_delete(s, (struct stream_id){5, 2});
    size_t len = listpack_bytes(s->tail);
    for (size_t bit = 0; bit < len * 8; bit++) {
        uint8_t *copy = malloc(len);
        struct stream_node_facts facts;
        memcpy(copy, s->tail, len);
        copy[bit / 8] = (uint8_t)(copy[bit / 8] ^ 1 << bit % 8);
        if (stream_node_validate(bytes_make(copy, len), s->tail_id, &facts)) {
            struct stream *damaged = stream_new();
            stream_append_node(damaged, s->tail_id, listpack_copy(copy), facts.alive);
            struct stream_trim half = {.by = STREAM_TRIM_MAXLEN, .max_len = 5};
            stream_trim(damaged, &half);
            stream_edge_id(damaged, true);
            stream_free(damaged);
        }
        free(copy);
    }
    stream_free(s);
}
