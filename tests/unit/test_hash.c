/* Hashes against a plain array as their model, from the first field through the change to a table and down again. */
#include <criterion/criterion.h>

#include "server/base/alloc.h"
#include "server/data/digest.h"
#include "server/data/hash.h"
#include "server/data/settings.h"
#include "tests/unit/test_hash_fields.h"

#define UNIVERSE 700

struct model {
    struct hash hash;
    bool present[UNIVERSE];
    int value[UNIVERSE];
    size_t count;
};

static void check(const struct model *m)
{
    bool seen[UNIVERSE] = {0};
    struct hash_walk w;
    struct hash_pair pair;
    char scratch[I64_TEXT_MAX], field[32], value[400];
    size_t walked = 0;
    cr_assert_eq(hash_length(&m->hash), m->count);
    for (hash_walk_start(&w, &m->hash); hash_walk_next(&w, &pair); walked++) {
        struct bytes text = packed_text(&pair.field, scratch);
        unsigned i = 0;
        for (size_t at = text.len && text.ptr[0] == 'f' ? 6 : 0; at < text.len; at++) i = i * 10 + text.ptr[at] - '0';
        cr_assert(i < UNIVERSE && m->present[i] && !seen[i]);
        seen[i] = true;
        cr_assert(bytes_equal(packed_text(&pair.value, scratch), value_of(m->value[i], value)));
    }
    cr_assert_eq(walked, m->count);
    for (unsigned i = 0; i < UNIVERSE; i += 7) {
        struct packed_value got;
        bool found = hash_get(&m->hash, field_of(i, field), &got);
        cr_assert_eq(found, m->present[i]);
        if (found) cr_assert(bytes_equal(packed_text(&got, scratch), value_of(m->value[i], value)));
    }
}

static void change(struct model *m, struct random_state *random, unsigned reach, bool grow, bool long_values)
{
    char field[32], value[400];
    unsigned i = (unsigned)random_below(random, reach);
    if (random_below(random, 10) < (grow ? 8 : 2)) {
        m->value[i] = (int)random_below(random, 1000000);
        if (!long_values && m->value[i] % 1000 == 999) m->value[i]--;
        cr_assert_eq(hash_set(&m->hash, field_of(i, field), value_of(m->value[i], value)), !m->present[i]);
        m->count += !m->present[i];
        m->present[i] = true;
    } else {
        cr_assert_eq(hash_delete(&m->hash, field_of(i, field)), m->present[i]);
        m->count -= m->present[i];
        m->present[i] = false;
    }
}

Test(hash, follows_a_model)
{
    size_t before = mem_used();
    hash_init();
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct random_state random;
        struct model m = {.hash = hash_new()};
        random_seed(&random, seed);
        for (int phase = 0; phase < 6; phase++) {
            unsigned reach = phase < 2 ? 60 : UNIVERSE;
            for (int i = 0; i < 1500; i++) change(&m, &random, reach, phase % 2 == 0, seed % 2);
            check(&m);
        }
        hash_free(&m.hash);
    }
    cr_assert_eq(mem_used(), before, "everything is given back");
}

Test(hash, becomes_a_table_where_redis_makes_it_one)
{
    char text[100];
    hash_init();
    memset(text, 'x', sizeof text);
    struct hash h = hash_new();
    hash_set(&h, BYTES("f"), bytes_make(text, 64));
    cr_assert_eq(h.encoding, ENCODING_LISTPACK);
    hash_set(&h, BYTES("f"), bytes_make(text, 65));
    cr_assert_eq(h.encoding, ENCODING_HASHTABLE);
    hash_free(&h);
    h = hash_new();
    hash_set(&h, bytes_make(text, 65), BYTES("v"));
    cr_assert_eq(h.encoding, ENCODING_HASHTABLE);
    hash_free(&h);
    h = hash_new();
    for (unsigned i = 0; i < data_settings->hash_max_listpack_entries; i++)
        hash_set(&h, bytes_make(text, (size_t)snprintf(text, sizeof text, "%u", i)), BYTES("v"));
    cr_assert_eq(h.encoding, ENCODING_LISTPACK);
    hash_set(&h, BYTES("one more"), BYTES("v"));
    cr_assert_eq(h.encoding, ENCODING_HASHTABLE);
    hash_free(&h);
}

static void count_pair(void *arg, const struct hash_pair *pair)
{
    (void)pair;
    ++*(size_t *)arg;
}

Test(hash, both_encodings_have_one_digest_and_samples_of_the_size_asked_for)
{
    struct random_state random;
    char field[32];
    hash_init();
    hash_register();
    random_seed(&random, 1);
    struct hash packed = hash_new(), table = hash_new_table(0);
    for (unsigned i = 0; i < 100; i++) {
        hash_set(&packed, field_of(i, field), BYTES("value"));
        hash_set(&table, field_of(99 - i, field), BYTES("value"));
    }
    uint8_t a[DIGEST_BYTES] = {0}, b[DIGEST_BYTES] = {0};
    value_ops(TYPE_HASH)->digest(packed.object, packed.encoding, a);
    value_ops(TYPE_HASH)->digest(table.object, table.encoding, b);
    cr_assert_arr_eq(a, b, sizeof a);
    static const size_t counts[] = {1, 10, 99, 100, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        size_t in_packed = 0, in_table = 0, expected = counts[i] < 100 ? counts[i] : 100;
        hash_sample(&packed, counts[i], &random, count_pair, &in_packed);
        hash_sample(&table, counts[i], &random, count_pair, &in_table);
        cr_assert_eq(in_packed, expected);
        cr_assert_eq(in_table, expected);
    }
    hash_free(&packed);
    hash_free(&table);
}
