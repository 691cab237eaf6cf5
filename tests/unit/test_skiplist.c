/* The skiplist against a sorted array as its model: order, ranks and walks after every kind of change. */
#include <criterion/criterion.h>

#include "server/base/alloc.h"
#include "server/data/skiplist.h"

#include <stdio.h>
#include <stdlib.h>

#define UNIVERSE 3000

struct model {
    struct skiplist list;
    struct skiplist_entry sorted[UNIVERSE];
    size_t count;
    struct member *members[UNIVERSE];
    double scores[UNIVERSE];
    bool present[UNIVERSE];
};

static int by_order(const void *a, const void *b)
{
    return skiplist_compare(a, b);
}

static void make_members(struct model *m)
{
    for (unsigned i = 0; i < UNIVERSE; i++) {
        m->members[i] = mem_alloc(16);
        m->members[i]->key_len = (uint8_t)snprintf((char *)m->members[i]->body, 15, "m%05u", i * 7919 % UNIVERSE);
    }
}

static void free_model(struct model *m)
{
    skiplist_free(&m->list);
    for (unsigned i = 0; i < UNIVERSE; i++) mem_free(m->members[i]);
}

static void rebuild(struct model *m)
{
    m->count = 0;
    for (unsigned i = 0; i < UNIVERSE; i++)
        if (m->present[i]) m->sorted[m->count++] = (struct skiplist_entry){m->scores[i], m->members[i]};
    qsort(m->sorted, m->count, sizeof *m->sorted, by_order);
}

static void check_against(struct model *m)
{
    rebuild(m);
    cr_assert_eq(m->list.count, m->count);
    struct skiplist_position p = skiplist_at(&m->list, 0);
    const struct skiplist_entry *e;
    for (size_t i = 0; i < m->count; i++) {
        cr_assert((e = skiplist_next(&p)));
        cr_assert_eq(e->member, m->sorted[i].member);
        cr_assert_eq(e->score, m->sorted[i].score);
    }
    cr_assert_null(skiplist_next(&p));
    p = skiplist_at(&m->list, m->count - 1);
    for (size_t i = m->count; i-- > 0;) cr_assert_eq(skiplist_previous(&p)->member, m->sorted[i].member);
    cr_assert_null(skiplist_previous(&p));
    for (size_t i = 0; i < m->count; i += 1 + m->count / 97) {
        const struct skiplist_entry *s = &m->sorted[i];
        p = skiplist_at(&m->list, i);
        cr_assert_eq(skiplist_next(&p)->member, s->member);
        struct skiplist_bound before = {SKIPLIST_BY_BOTH, false, s->score, member_key(s->member)};
        struct skiplist_bound after = {SKIPLIST_BY_BOTH, true, s->score, member_key(s->member)};
        cr_assert_eq(skiplist_rank_of(&m->list, &before), i);
        cr_assert_eq(skiplist_rank_of(&m->list, &after), i + 1);
        size_t low = i, high = i;
        while (low > 0 && m->sorted[low - 1].score == s->score) low--;
        while (high < m->count && m->sorted[high].score == s->score) high++;
        struct skiplist_bound score_before = {.order = SKIPLIST_BY_SCORE, .score = s->score};
        struct skiplist_bound score_after = {.order = SKIPLIST_BY_SCORE, .after = true, .score = s->score};
        cr_assert_eq(skiplist_rank_of(&m->list, &score_before), low);
        cr_assert_eq(skiplist_rank_of(&m->list, &score_after), high);
    }
    p = skiplist_at(&m->list, m->count);
    cr_assert_null(skiplist_next(&p));
}

static void forget(void *arg, struct member *member)
{
    struct model *m = arg;
    for (unsigned i = 0; i < UNIVERSE; i++)
        if (m->members[i] == member) m->present[i] = false;
}

static void change(struct model *m, struct random_state *random, bool grow, unsigned distinct)
{
    unsigned i = (unsigned)random_below(random, UNIVERSE);
    double score = (double)random_below(random, distinct) / 4;
    if (!m->present[i]) {
        if (!grow && random_below(random, 4)) return;
        skiplist_insert(&m->list, score, m->members[i]);
    } else if (random_below(random, 3) == 0) {
        skiplist_move(&m->list, m->members[i], m->scores[i], score);
    } else {
        if (grow && random_below(random, 4)) return;
        skiplist_remove(&m->list, m->scores[i], m->members[i]);
        m->present[i] = false;
        return;
    }
    m->present[i] = true;
    m->scores[i] = score;
}

Test(skiplist, follows_a_model)
{
    static struct model m;
    make_members(&m);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct random_state random;
        random_seed(&random, seed);
        memset(m.present, 0, sizeof m.present);
        skiplist_init(&m.list);
        check_against(&m);
        unsigned distinct = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 50 : 1000000;
        for (int phase = 0; phase < 6; phase++) {
            for (int i = 0; i < 6000; i++) change(&m, &random, phase % 2 == 0, distinct);
            check_against(&m);
            size_t rank = m.count ? random_below(&random, m.count) : 0;
            size_t n = m.count ? random_below(&random, m.count - rank) : 0;
            skiplist_remove_ranks(&m.list, rank, n, forget, &m);
            check_against(&m);
        }
        skiplist_remove_ranks(&m.list, 0, m.list.count, forget, &m);
        check_against(&m);
        cr_assert_eq(m.list.nodes, 1);
        skiplist_free(&m.list);
    }
    free_model(&m);
}

Test(skiplist, ascending_and_descending_stay_lean)
{
    static struct model m;
    make_members(&m);
    for (int down = 0; down < 2; down++) {
        skiplist_init(&m.list);
        for (unsigned i = 0; i < UNIVERSE; i++) {
            m.scores[i] = down ? -(double)i : i;
            m.present[i] = true;
            skiplist_insert(&m.list, m.scores[i], m.members[i]);
        }
        check_against(&m);
        cr_assert_lt(skiplist_memory(&m.list) / UNIVERSE, 40);
        skiplist_free(&m.list);
    }
    free_model(&m);
}

Test(skiplist, filled_at_once)
{
    static struct model m;
    struct random_state random;
    random_seed(&random, 3);
    make_members(&m);
    static const unsigned sizes[] = {0, 1, 17, 18, 500, UNIVERSE};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (unsigned i = 0; i < UNIVERSE; i++) {
            m.present[i] = i < sizes[s];
            m.scores[i] = (double)random_below(&random, 100);
        }
        rebuild(&m);
        skiplist_init(&m.list);
        skiplist_fill(&m.list, m.sorted, m.count);
        check_against(&m);
        for (int i = 0; i < 3000; i++) change(&m, &random, i < 1500, 100);
        check_against(&m);
        skiplist_free(&m.list);
    }
    free_model(&m);
}
