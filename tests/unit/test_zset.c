/* Sorted sets against a sorted array as their model: scores, ranks and ranges in both encodings. */
#include <criterion/criterion.h>

#include "server/base/alloc.h"
#include "server/data/digest.h"
#include "server/data/settings.h"
#include "server/data/zset_builder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define UNIVERSE 600

struct model {
    struct zset zset;
    bool present[UNIVERSE];
    double scores[UNIVERSE];
    unsigned order[UNIVERSE];
    size_t count;
};

static struct model *sorting;

static struct bytes member_of(unsigned i, char room[32])
{
    return bytes_make(room, (size_t)snprintf(room, 32, i % 4 ? "member:%u" : "%u", i));
}

static int by_order(const void *a, const void *b)
{
    unsigned left = *(const unsigned *)a, right = *(const unsigned *)b;
    double x = sorting->scores[left], y = sorting->scores[right];
    char left_room[32], right_room[32];
    if (x != y) return x < y ? -1 : 1;
    return bytes_compare(member_of(left, left_room), member_of(right, right_room));
}

static void sort_model(struct model *m)
{
    m->count = 0;
    for (unsigned i = 0; i < UNIVERSE; i++)
        if (m->present[i]) m->order[m->count++] = i;
    sorting = m;
    qsort(m->order, m->count, sizeof *m->order, by_order);
}

static void check_walk(const struct model *m, size_t from, bool reverse)
{
    struct zset_walk w;
    struct zset_entry e;
    char scratch[I64_TEXT_MAX], room[32];
    size_t i = from;
    for (zset_walk_start(&w, &m->zset, from, reverse); zset_walk_next(&w, &e); i += reverse ? -1 : 1) {
        cr_assert_lt(i, m->count);
        cr_assert(bytes_equal(packed_text(&e.member, scratch), member_of(m->order[i], room)));
        cr_assert_eq(e.score, m->scores[m->order[i]]);
    }
    cr_assert_eq(i, reverse ? (size_t)-1 : m->count);
}

static void check(struct model *m)
{
    char room[32];
    sort_model(m);
    cr_assert_eq(zset_count(&m->zset), m->count);
    if (m->count == 0) return;
    check_walk(m, 0, false);
    check_walk(m, m->count - 1, true);
    check_walk(m, m->count / 3, false);
    check_walk(m, m->count / 3, true);
    for (size_t i = 0; i < m->count; i += 1 + m->count / 50) {
        struct bytes member = member_of(m->order[i], room);
        double own = m->scores[m->order[i]], score;
        size_t rank, low = i, high = i;
        cr_assert(zset_rank(&m->zset, member, &rank, &score));
        cr_assert_eq(rank, i);
        cr_assert_eq(score, own);
        while (low > 0 && m->scores[m->order[low - 1]] == own) low--;
        while (high < m->count && m->scores[m->order[high]] == own) high++;
        struct skiplist_bound before = {.order = SKIPLIST_BY_SCORE, .score = own}, after = before;
        after.after = true;
        cr_assert_eq(zset_rank_of(&m->zset, &before, 0), low);
        cr_assert_eq(zset_rank_of(&m->zset, &after, low), high);
    }
}

static double any_score(struct random_state *random)
{
    switch (random_below(random, 8)) {
    case 0: return INFINITY;
    case 1: return -INFINITY;
    case 2: return (double)random_below(random, 1000) / 7;
    case 3: return -1e300;
    default: return (double)random_below(random, 20) - 10;
    }
}

static void change(struct model *m, struct random_state *random, unsigned reach, bool grow)
{
    char room[32];
    unsigned i = (unsigned)random_below(random, reach);
    struct bytes member = member_of(i, room);
    struct zset_place place;
    double own, score = any_score(random);
    bool found = zset_find(&m->zset, member, &place, &own);
    cr_assert_eq(found, m->present[i]);
    if (found) cr_assert_eq(own, m->scores[i]);
    if (!found) {
        if (!grow && random_below(random, 4)) return;
        zset_add(&m->zset, member, &place, score);
    } else if (random_below(random, 2)) {
        zset_move(&m->zset, member, &place, own, score);
    } else {
        if (grow && random_below(random, 4)) return;
        zset_remove(&m->zset, &place, own);
        m->present[i] = false;
        return;
    }
    m->present[i] = true;
    m->scores[i] = score;
}

static void remove_ranks(struct model *m, struct random_state *random)
{
    sort_model(m);
    if (!m->count) return;
    size_t rank = random_below(random, m->count), count = random_below(random, m->count - rank + 1);
    zset_remove_ranks(&m->zset, rank, count);
    for (size_t i = 0; i < count; i++) m->present[m->order[rank + i]] = false;
}

Test(zset, follows_a_model)
{
    size_t before = mem_used();
    hash_init();
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct random_state random;
        struct model m = {.zset = zset_new(1)};
        random_seed(&random, seed);
        for (int phase = 0; phase < 8; phase++) {
            unsigned reach = phase < 4 ? 100 : UNIVERSE;
            for (int i = 0; i < 1000; i++) change(&m, &random, reach, phase % 2 == 0);
            check(&m);
            remove_ranks(&m, &random);
            check(&m);
        }
        cr_assert_eq(m.zset.encoding, ENCODING_SKIPLIST);
        zset_free(&m.zset);
    }
    cr_assert_eq(mem_used(), before, "everything is given back");
}

Test(zset, becomes_a_skiplist_where_redis_makes_it_one)
{
    char text[100];
    struct zset_place place;
    double score;
    hash_init();
    struct zset z = zset_new(1);
    for (unsigned i = 0; i < data_settings->zset_max_listpack_entries; i++) {
        struct bytes member = bytes_make(text, (size_t)snprintf(text, sizeof text, "%u", i));
        cr_assert(!zset_find(&z, member, &place, &score));
        zset_add(&z, member, &place, i);
    }
    cr_assert_eq(z.encoding, ENCODING_LISTPACK);
    struct packed_value more = packed_string("one more", 8);
    zset_add_new(&z, &more, 0);
    cr_assert_eq(z.encoding, ENCODING_SKIPLIST);
    zset_free(&z);
    z = zset_new(65);
    cr_assert_eq(z.encoding, ENCODING_SKIPLIST);
    zset_free(&z);
}

Test(zset, scores_survive_packing)
{
    static const double scores[] = {0,    1,     -1,       0.1,       1e17,    9007199254740993.0, -2.5e-10,
                                    1e-7, 1e300, INFINITY, -INFINITY, 1.0 / 3, 123456789.125,      5e-324};
    char text[DOUBLE_TEXT_MAX];
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
        struct packed_value packed = zset_pack_score(scores[i], text);
        double score;
        cr_assert(zset_unpack_score(&packed, &score));
        cr_assert_eq(score, scores[i]);
    }
    struct packed_value no_number = packed_string("nan", 3);
    double score;
    cr_assert(!zset_unpack_score(&no_number, &score));
}

static double add_up(double own, double other)
{
    return own + other;
}

/* Whatever the order of arrival, and with members that come again. */
Test(zset, builder)
{
    struct random_state random;
    hash_init();
    zset_register();
    random_seed(&random, 9);
    for (int shape = 0; shape < 4; shape++) {
        for (size_t n = 1; n < 1000; n = n * 3 + 1) {
            struct zset_builder b;
            struct zset plain = zset_new(1);
            zset_builder_init(&b, shape % 2 ? n : 0);
            for (size_t i = 0; i < n; i++) {
                double score = shape == 0 ? (double)i : shape == 1 ? -(double)i - 1 : (double)random_below(&random, 50);
                struct packed_value member = packed_integer((int64_t)i);
                cr_assert(zset_builder_add(&b, &member, score));
                cr_assert(!zset_builder_add(&b, &member, score));
                if (shape == 3) zset_builder_merge(&b, &member, 0.5, add_up);
                zset_add_new(&plain, &member, shape == 3 ? score + 0.5 : score);
            }
            struct zset built = zset_builder_finish(&b);
            uint8_t expected[DIGEST_BYTES] = {0}, digest[DIGEST_BYTES] = {0};
            struct zset_walk w, v;
            struct zset_entry one, other;
            cr_assert_eq(built.encoding, plain.encoding);
            zset_walk_start(&w, &built, 0, false);
            for (zset_walk_start(&v, &plain, 0, false); zset_walk_next(&v, &other);) {
                cr_assert(zset_walk_next(&w, &one));
                cr_assert_eq(one.score, other.score);
            }
            value_ops(TYPE_ZSET)->digest(built.object, built.encoding, digest);
            value_ops(TYPE_ZSET)->digest(plain.object, plain.encoding, expected);
            cr_assert_arr_eq(digest, expected, sizeof digest);
            zset_free(&built);
            zset_free(&plain);
        }
    }
}
