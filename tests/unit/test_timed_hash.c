/* Hashes whose fields expire, against a plain array as their model: generated operations in both encodings, with the
 * time going on, down to a hash that has no such field any more. */
#include <criterion/criterion.h>

#include "server/base/alloc.h"
#include "server/data/hash.h"
#include "tests/unit/test_hash_fields.h"

#define UNIVERSE 400

struct model {
    struct hash hash;
    bool present[UNIVERSE];
    int value[UNIVERSE];
    int64_t expire_ms[UNIVERSE];
    int64_t now_ms;
};

static bool lives(const struct model *m, unsigned i)
{
    return m->present[i] && (m->expire_ms[i] == HASH_NO_EXPIRY || m->now_ms <= m->expire_ms[i]);
}

static void check_walk(const struct model *m, size_t living)
{
    struct hash_walk w;
    struct hash_pair pair;
    size_t seen = 0;
    hash_walk_start(&w, &m->hash);
    while (hash_walk_next(&w, &pair)) seen++;
    cr_assert_eq(seen, living);
}

static void check(struct model *m)
{
    size_t stored = 0, living = 0, expiring = 0;
    int64_t next_ms = HASH_NO_EXPIRY;
    m->hash.now_ms = m->now_ms;
    for (unsigned i = 0; i < UNIVERSE; i++) {
        char field[32], value[400], scratch[I64_TEXT_MAX];
        struct packed_value got;
        bool found = hash_get(&m->hash, field_of(i, field), &got);
        cr_assert_eq(found, lives(m, i));
        if (found) cr_assert(bytes_equal(packed_text(&got, scratch), value_of(m->value[i], value)));
        cr_assert_eq(hash_expiry(&m->hash, field_of(i, field)), lives(m, i) ? m->expire_ms[i] : HASH_NO_EXPIRY);
        stored += m->present[i];
        living += lives(m, i);
        if (!m->present[i] || m->expire_ms[i] == HASH_NO_EXPIRY) continue;
        expiring++;
        if (next_ms == HASH_NO_EXPIRY || m->expire_ms[i] < next_ms) next_ms = m->expire_ms[i];
    }
    cr_assert_eq(hash_length(&m->hash), stored);
    cr_assert_eq(hash_living(&m->hash), living);
    cr_assert_eq(hash_lives(&m->hash), hash_living(&m->hash) > 0);
    cr_assert_eq(hash_expiring(&m->hash), expiring);
    cr_assert_eq(hash_next_expiry(&m->hash), next_ms);
    cr_assert_eq(hash_is_timed(&m->hash), expiring > 0);
    check_walk(m, living);
}

static int64_t some_expiry(const struct model *m, struct random_state *random)
{
    return random_below(random, 3) == 0 ? HASH_NO_EXPIRY : m->now_ms - 20 + (int64_t)random_below(random, 400);
}

static void set(struct model *m, unsigned i, int value, bool keeping, int64_t expire_ms)
{
    char field[32], text[400];
    bool is_new = keeping ? hash_set_keeping_expiry(&m->hash, field_of(i, field), value_of(value, text))
                          : hash_set_with_expiry(&m->hash, field_of(i, field), value_of(value, text), expire_ms);
    cr_assert_eq(is_new, !lives(m, i));
    if (keeping) expire_ms = lives(m, i) ? m->expire_ms[i] : HASH_NO_EXPIRY;
    m->present[i] = true;
    m->value[i] = value;
    m->expire_ms[i] = expire_ms;
}

static void reap(struct model *m, size_t most)
{
    size_t dead = 0;
    for (unsigned i = 0; i < UNIVERSE; i++) dead += m->present[i] && !lives(m, i);
    cr_assert_eq(hash_reap(&m->hash, m->now_ms, most, NULL, NULL), dead < most ? dead : most);
    if (dead > most) hash_reap(&m->hash, m->now_ms, UNIVERSE, NULL, NULL);
    for (unsigned i = 0; i < UNIVERSE; i++)
        if (!lives(m, i)) m->present[i] = false;
}

static void change(struct model *m, struct random_state *random, unsigned reach, bool long_values)
{
    char field[32];
    unsigned i = (unsigned)random_below(random, reach);
    int value = (int)random_below(random, 1000000);
    if (!long_values && value % 1000 == 999) value--;
    int64_t expire_ms = some_expiry(m, random);
    m->hash.now_ms = m->now_ms;
    switch (random_below(random, 6)) {
    case 0: set(m, i, value, false, HASH_NO_EXPIRY); break;
    case 1: set(m, i, value, false, expire_ms); break;
    case 2: set(m, i, value, true, 0); break;
    case 3:
        cr_assert_eq(hash_set_expiry(&m->hash, field_of(i, field), expire_ms), lives(m, i));
        if (lives(m, i)) m->expire_ms[i] = expire_ms;
        break;
    case 4:
        cr_assert_eq(hash_delete(&m->hash, field_of(i, field)), lives(m, i));
        if (lives(m, i)) m->present[i] = false;
        break;
    default:
        m->now_ms += (int64_t)random_below(random, 5);
        if (value % 8 == 0) reap(m, 3);
        break;
    }
}

Test(timed_hash, follows_a_model)
{
    size_t before = mem_used();
    hash_init();
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct random_state random;
        struct model m = {.hash = hash_new(), .now_ms = 1000000};
        random_seed(&random, seed);
        for (int i = 0; i < 12000; i++) {
            change(&m, &random, seed % 4 == 0 ? UNIVERSE : 60, seed % 2);
            if (i % 50 == 0) check(&m);
        }
        for (unsigned i = 0; i < UNIVERSE; i++) {
            char field[32];
            hash_set_expiry(&m.hash, field_of(i, field), HASH_NO_EXPIRY);
            if (lives(&m, i)) m.expire_ms[i] = HASH_NO_EXPIRY;
        }
        m.hash.now_ms = m.now_ms;
        reap(&m, UNIVERSE);
        check(&m);
        cr_assert(!hash_is_timed(&m.hash), "without expiries it is a hash as any other");
        hash_free(&m.hash);
    }
    cr_assert_eq(mem_used(), before, "everything is given back");
}

/* --- many dead, few that live --- */

#define DEAD   3000
#define LIVING 20 /* half of them without an expiry */

static struct hash mostly_dead(void)
{
    struct hash h = hash_new();
    char field[32];
    for (unsigned i = 0; i < DEAD + LIVING; i++) {
        int64_t expire_ms = i < DEAD ? 1000 + i : i % 2 ? 100000 : HASH_NO_EXPIRY;
        hash_set_with_expiry(&h, field_of(i, field), bytes_from_text("v"), expire_ms);
    }
    h.now_ms = 1000 + DEAD;
    return h;
}

/* Which of the living it is; everything else fails the test. */
static unsigned living_index(const struct hash_pair *pair)
{
    char scratch[I64_TEXT_MAX], text[32];
    struct bytes name = packed_text(&pair->field, scratch);
    for (unsigned i = DEAD; i < DEAD + LIVING; i++)
        if (bytes_equal(name, field_of(i, text))) return i - DEAD;
    cr_assert_fail("a dead field was drawn");
    return 0;
}

static void count_pair(void *arg, const struct hash_pair *pair)
{
    ++((unsigned *)arg)[living_index(pair)];
}

static void expect_all_drawn(const unsigned seen[LIVING], unsigned draws)
{
    for (unsigned i = 0; i < LIVING; i++)
        cr_assert(seen[i] > draws / LIVING / 2 && seen[i] < draws / LIVING * 2, "%u of %u draws", seen[i], draws);
}

Test(timed_hash, only_the_living_are_drawn_and_all_alike)
{
    struct random_state random;
    struct hash_drawing drawing;
    struct hash_pair pair;
    unsigned drawn[LIVING] = {0}, single[LIVING] = {0}, sampled[LIVING] = {0};
    hash_init();
    random_seed(&random, 7);
    struct hash h = mostly_dead();
    hash_draw_begin(&drawing, &h);
    for (int i = 0; i < 4000; i++) {
        hash_draw(&drawing, &random, &pair);
        drawn[living_index(&pair)]++;
        hash_random(&h, &random, &pair);
        single[living_index(&pair)]++;
    }
    hash_draw_end(&drawing);
    for (int i = 0; i < 800; i++) hash_sample(&h, i % 2 ? 3 : 7, &random, count_pair, sampled);
    expect_all_drawn(drawn, 4000);
    expect_all_drawn(single, 4000);
    expect_all_drawn(sampled, 4000);
    unsigned whole[LIVING] = {0};
    hash_sample(&h, 1000, &random, count_pair, whole);
    for (unsigned i = 0; i < LIVING; i++) cr_assert_eq(whole[i], 1);
    hash_free(&h);
}

/* What is counted once is kept in step with every change, and with a clock that is set back. */
Test(timed_hash, the_dead_are_counted_as_time_goes_on)
{
    char field[32];
    hash_init();
    struct hash h = mostly_dead();
    cr_assert_eq(hash_living(&h), LIVING);
    h.now_ms = 1500;
    cr_assert_eq(hash_living(&h), DEAD + LIVING - 500);
    h.now_ms = 2000;
    cr_assert_eq(hash_living(&h), DEAD + LIVING - 1000);
    cr_assert_eq(hash_reap(&h, h.now_ms, 64, NULL, NULL), 64);
    cr_assert_eq(hash_living(&h), DEAD + LIVING - 1000);
    cr_assert(hash_set_with_expiry(&h, field_of(500, field), bytes_from_text("w"), 9000), "it was dead");
    cr_assert_eq(hash_living(&h), DEAD + LIVING - 999);
    cr_assert(hash_delete(&h, field_of(1500, field)));
    cr_assert_eq(hash_living(&h), DEAD + LIVING - 1000);
    h.now_ms = 1000 + DEAD;
    cr_assert_eq(hash_living(&h), LIVING + 1);
    cr_assert_eq(hash_reap(&h, h.now_ms, DEAD, NULL, NULL), DEAD - 64 - 2);
    cr_assert_eq(hash_length(&h), LIVING + 1);
    cr_assert_eq(hash_living(&h), LIVING + 1);
    hash_free(&h);
}
