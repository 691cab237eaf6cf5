/* Sets against a plain array as their model, through all three encodings. */
#include <criterion/criterion.h>

#include "server/base/alloc.h"
#include "server/data/set.h"
#include "server/data/settings.h"

#include <stdio.h>

#define UNIVERSE 900

struct model {
    struct set set;
    bool present[UNIVERSE];
    size_t count;
};

/* The first third are integers, written as text. */
static struct packed_value member_of(unsigned i, char room[32])
{
    int len = snprintf(room, 32, i < UNIVERSE / 3 ? "%u" : "m%u", i);
    return packed_string(room, (size_t)len);
}

static unsigned number_of(const struct packed_value *member)
{
    unsigned i = 0;
    if (!member->ptr) return (unsigned)member->integer;
    for (size_t at = member->ptr[0] == 'm'; at < member->len; at++) i = i * 10 + member->ptr[at] - '0';
    return i;
}

static void check(const struct model *m)
{
    bool seen[UNIVERSE] = {0};
    struct set_walk w;
    struct packed_value member;
    char room[32];
    size_t walked = 0;
    cr_assert_eq(set_count(&m->set), m->count);
    for (set_walk_start(&w, &m->set); set_walk_next(&w, &member); walked++) {
        unsigned i = number_of(&member);
        cr_assert(i < UNIVERSE && m->present[i] && !seen[i]);
        seen[i] = true;
    }
    cr_assert_eq(walked, m->count);
    for (unsigned i = 0; i < UNIVERSE; i += 3) {
        member = member_of(i, room);
        cr_assert_eq(set_contains(&m->set, &member), m->present[i]);
    }
}

static void change(struct model *m, struct random_state *random, unsigned reach, bool grow)
{
    char room[32];
    unsigned i = (unsigned)random_below(random, reach);
    struct packed_value member = member_of(i, room);
    if (m->count == 0 || random_below(random, 10) < (grow ? 8 : 2)) {
        cr_assert_eq(set_add(&m->set, &member), !m->present[i]);
        m->count += !m->present[i];
        m->present[i] = true;
    } else {
        cr_assert_eq(set_remove(&m->set, &member), m->present[i]);
        m->count -= m->present[i];
        m->present[i] = false;
    }
}

Test(set, follows_a_model)
{
    static const unsigned reaches[] = {UNIVERSE / 3, UNIVERSE / 3 + 40, UNIVERSE, UNIVERSE};
    size_t before = mem_used();
    hash_init();
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct random_state random;
        struct packed_value first = packed_integer(0);
        struct model m = {.set = set_new(&first, 1)};
        random_seed(&random, seed);
        cr_assert_eq(m.set.encoding, ENCODING_INTSET);
        for (unsigned phase = 0; phase < 8; phase++) {
            for (int i = 0; i < 700; i++) change(&m, &random, reaches[phase / 2], phase % 2 == 0);
            check(&m);
        }
        cr_assert_eq(m.set.encoding, ENCODING_HASHTABLE);
        set_free(&m.set);
    }
    cr_assert_eq(mem_used(), before, "everything is given back");
}

static void add_text(struct set *s, const char *text)
{
    struct packed_value member = set_member(bytes_from_text(text));
    set_add(s, &member);
}

Test(set, changes_its_encoding_where_redis_does)
{
    char text[100];
    struct packed_value number = packed_integer(1);
    hash_init();
    struct set s = set_new(&number, 1);
    for (unsigned i = 0; i < data_settings->set_max_intset_entries; i++) {
        snprintf(text, sizeof text, "%u", i);
        add_text(&s, text);
    }
    cr_assert_eq(s.encoding, ENCODING_INTSET);
    add_text(&s, "100000");
    cr_assert_eq(s.encoding, ENCODING_HASHTABLE);
    set_free(&s);
    s = set_new(&number, 1);
    add_text(&s, "1");
    add_text(&s, "one");
    cr_assert_eq(s.encoding, ENCODING_LISTPACK);
    for (unsigned i = 2; set_count(&s) < data_settings->set_max_listpack_entries; i++) {
        snprintf(text, sizeof text, "%u", i);
        add_text(&s, text);
    }
    cr_assert_eq(s.encoding, ENCODING_LISTPACK);
    add_text(&s, "one more");
    cr_assert_eq(s.encoding, ENCODING_HASHTABLE);
    set_free(&s);
    s = set_new(&number, 1);
    memset(text, 'x', 65);
    text[65] = 0;
    add_text(&s, text);
    cr_assert_eq(s.encoding, ENCODING_HASHTABLE);
    set_free(&s);
}

/* Text that looks like a number without being its canonical form is another member. */
Test(set, only_canonical_integers_are_integers)
{
    static const char *const texts[] = {"7", "07", "+7", " 7", "7 ", "-0", "0", "", "9223372036854775808"};
    struct packed_value seven = packed_integer(7);
    hash_init();
    struct set s = set_new(&seven, 1);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) add_text(&s, texts[i]);
    cr_assert_eq(set_count(&s), sizeof texts / sizeof *texts);
    cr_assert(set_contains(&s, &seven));
    struct packed_value text = set_member(BYTES("7"));
    cr_assert(!set_add(&s, &text));
    set_free(&s);
}

Test(set, batches_filter_like_asking_one_by_one)
{
    struct random_state random;
    struct packed_value number = packed_integer(0);
    char room[32];
    hash_init();
    random_seed(&random, 5);
    for (unsigned shape = 0; shape < 9; shape++) { /* each encoding asked by each */
        unsigned reach[2] = {UNIVERSE / 3, UNIVERSE / 3}, offset[2] = {0, 0};
        struct set sets[2];
        for (int i = 0; i < 2; i++) {
            unsigned form = i ? shape % 3 : shape / 3;
            sets[i] = form == 2 ? set_new_table(0) : set_new(&number, 1);
            if (form == 1) add_text(&sets[i], "text");
            for (int n = 0; n < 100; n++) {
                struct packed_value m = member_of((unsigned)random_below(&random, reach[i]) + offset[i], room);
                set_add(&sets[i], &m);
            }
        }
        for (int absent = 0; absent < 2; absent++) {
            struct set_walk w;
            struct set_batch batch;
            struct packed_value m;
            size_t kept = 0, expected = 0;
            for (set_walk_start(&w, &sets[0]); set_batch_fill(&batch, &w); kept += batch.count) {
                set_batch_filter(&batch, &sets[1], absent);
                for (size_t i = 0; i < batch.count; i++)
                    cr_assert_eq(set_contains(&sets[1], &batch.members[i]), !absent);
            }
            for (set_walk_start(&w, &sets[0]); set_walk_next(&w, &m);)
                expected += set_contains(&sets[1], &m) == !absent;
            cr_assert_eq(kept, expected);
        }
        set_free(&sets[0]);
        set_free(&sets[1]);
    }
}
