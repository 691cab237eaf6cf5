/* Intsets: against a model, against Redis's own bytes, broken bytes refused. */
#include <criterion/criterion.h>

#include "server/base/alloc.h"
#include "server/data/intset.h"

TestSuite(intset, .timeout = 60);

static uint8_t *add(uint8_t *is, int64_t value)
{
    bool added;
    is = intset_add(is, value, &added);
    cr_assert(added);
    return is;
}

Test(intset, has_redis_bytes)
{
    uint8_t *is = add(add(add(intset_new(), 5), -1), 70000);
    static const uint8_t expected[] = {4, 0, 0, 0, 3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0, 0x70, 0x11, 1, 0};
    cr_assert_eq(intset_bytes(is), sizeof expected);
    cr_assert_eq(memcmp(is, expected, sizeof expected), 0);
    intset_free(is);
}

Test(intset, widens_below_and_above)
{
    uint8_t *is = add(add(intset_new(), 1), 2);
    is = add(is, INT64_MIN);
    is = add(is, INT64_MAX);
    is = add(is, INT32_MIN);
    const int64_t expected[] = {INT64_MIN, INT32_MIN, 1, 2, INT64_MAX};
    cr_assert_eq(intset_count(is), 5);
    for (size_t i = 0; i < 5; i++) cr_assert_eq(intset_get(is, i), expected[i]);
    cr_assert_not(intset_contains(is, 3));
    intset_free(is);
}

#define MODEL_MAX 600

static size_t model_place(const int64_t *model, size_t count, int64_t value)
{
    size_t at = 0;
    while (at < count && model[at] < value) at++;
    return at;
}

Test(intset, agrees_with_a_sorted_array)
{
    static int64_t model[MODEL_MAX];
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct random_state r;
        random_seed(&r, seed);
        uint8_t *is = intset_new();
        size_t count = 0;
        for (int step = 0; step < 3000; step++) {
            int64_t value = (int64_t)random_below(&r, 400) - 200;
            if (step > 1500) value *= 1 << 10;
            if (step > 2500) value *= 1ll << 30;
            size_t at = model_place(model, count, value);
            bool there = at < count && model[at] == value, changed;
            cr_assert_eq(intset_contains(is, value), there);
            if (random_below(&r, 5) < 3 && count < MODEL_MAX) {
                is = intset_add(is, value, &changed);
                cr_assert_eq(changed, !there);
                if (changed) {
                    memmove(&model[at + 1], &model[at], (count++ - at) * sizeof *model);
                    model[at] = value;
                }
            } else {
                is = intset_remove(is, value, &changed);
                cr_assert_eq(changed, there);
                if (changed) memmove(&model[at], &model[at + 1], (--count - at) * sizeof *model);
            }
            cr_assert_eq(intset_count(is), count);
            if (step % 50 == 0)
                for (size_t i = 0; i < count; i++) cr_assert_eq(intset_get(is, i), model[i]);
            if (count) cr_assert(intset_contains(is, intset_random(is, &r)));
        }
        cr_assert(intset_validate(bytes_make(is, intset_bytes(is))));
        uint8_t *copy = intset_copy(is);
        cr_assert_eq(memcmp(copy, is, intset_bytes(is)), 0);
        intset_free(copy);
        intset_free(is);
    }
}

Test(intset, broken_bytes_are_refused_or_in_order)
{
    struct random_state r;
    random_seed(&r, 3);
    uint8_t *is = intset_new();
    for (int i = 0; i < 20; i++) is = add(is, i * 100);
    size_t good_len = intset_bytes(is);
    for (int i = 0; i < 20000; i++) {
        size_t len = random_below(&r, 4) ? good_len : random_below(&r, good_len + 1);
        uint8_t *copy = mem_alloc(len);
        memcpy(copy, is, len);
        for (uint64_t flips = random_below(&r, 3); flips > 0 && len; flips--)
            copy[random_below(&r, len)] = (uint8_t)random_u64(&r);
        if (intset_validate(bytes_make(copy, len)))
            for (size_t k = 1; k < intset_count(copy); k++) cr_assert_lt(intset_get(copy, k - 1), intset_get(copy, k));
        mem_free(copy);
    }
    intset_free(is);
}
