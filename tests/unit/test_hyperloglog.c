/* HyperLogLog: the bytes of the documented layout, agreement of both encodings, the estimate, and broken values. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "server/base/random.h"
#include "server/data/hyperloglog.h"

#define SPARSE_MAX 3000

TestSuite(hyperloglog, .timeout = 60);

struct room {
    uint8_t bytes[HLL_ROOM_BYTES];
    struct hll hll;
};

static struct room *new_room(void)
{
    struct room *r = malloc(sizeof *r);
    r->hll.data = r->bytes;
    hll_init(&r->hll);
    return r;
}

static struct bytes bytes_of(const struct room *r)
{
    return bytes_make(r->hll.data, r->hll.len);
}

static void add_number(struct room *r, uint64_t number, uint64_t sparse_max)
{
    cr_assert_neq(hll_add(&r->hll, bytes_make(&number, sizeof number), sparse_max), HLL_BROKEN);
}

static uint64_t estimate(struct bytes b)
{
    uint8_t registers[HLL_REGISTERS] = {0};
    cr_assert(hll_merge(registers, b));
    return hll_estimate(registers);
}

/* As redis-server 7.0.15 stores it after PFADD of a, b and c. */
Test(hyperloglog, known_bytes)
{
    struct room *r = new_room();
    static const char *const elements[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) hll_add(&r->hll, bytes_from_text(elements[i]), SPARSE_MAX);
    hll_forget_count(r->hll.data);
    static const uint8_t expected[] = {0x48, 0x59, 0x4c, 0x4c, 0x01, 0x00, 0x00, 0x00, 0x00,
                                       0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x60, 0xf3,
                                       0x80, 0x50, 0xb1, 0x84, 0x4b, 0xfb, 0x80, 0x42, 0x5a};
    cr_assert(bytes_equal(bytes_of(r), bytes_make(expected, sizeof expected)));
    cr_assert_eq(estimate(bytes_of(r)), 3);
    free(r);
}

Test(hyperloglog, empty_is_recognized_and_counts_nothing)
{
    struct room *r = new_room();
    uint64_t count = 1;
    cr_assert_eq(r->hll.len, HLL_HEADER_BYTES + 2);
    cr_assert(hll_recognized(bytes_of(r)));
    cr_assert(hll_cached_count(bytes_of(r), &count));
    cr_assert_eq(count, 0);
    cr_assert_eq(estimate(bytes_of(r)), 0);
    free(r);
}

Test(hyperloglog, count_is_kept_until_forgotten)
{
    struct room *r = new_room();
    uint64_t count;
    hll_cache_count(r->hll.data, 123456789);
    cr_assert(hll_cached_count(bytes_of(r), &count));
    cr_assert_eq(count, 123456789);
    hll_forget_count(r->hll.data);
    cr_assert_not(hll_cached_count(bytes_of(r), &count));
    free(r);
}

/* The same elements into one that stays sparse for as long as it can and one that is dense from the start. */
Test(hyperloglog, encodings_agree)
{
    struct room *sparse = new_room(), *dense = new_room();
    struct random_state random;
    random_seed(&random, 1);
    cr_assert(hll_make_dense(&dense->hll));
    for (int i = 0; i < 30000; i++) {
        uint64_t number = random_u64(&random) >> (i % 3 * 20);
        add_number(sparse, number, SIZE_MAX);
        add_number(dense, number, SPARSE_MAX);
        if (i % 997) continue;
        uint8_t from_sparse[HLL_REGISTERS] = {0}, from_dense[HLL_REGISTERS] = {0};
        cr_assert(hll_merge(from_sparse, bytes_of(sparse)));
        cr_assert(hll_merge(from_dense, bytes_of(dense)));
        cr_assert_arr_eq(from_sparse, from_dense, HLL_REGISTERS);
    }
    cr_assert_leq(sparse->hll.len, HLL_ROOM_BYTES);
    free(sparse);
    free(dense);
}

Test(hyperloglog, becomes_dense_at_the_limit)
{
    struct room *r = new_room();
    for (uint64_t i = 0; i < 10000; i++) {
        add_number(r, i, SPARSE_MAX);
        cr_assert(hll_recognized(bytes_of(r)));
        cr_assert(hll_is_dense(bytes_of(r)) ? r->hll.len == HLL_DENSE_BYTES : r->hll.len <= SPARSE_MAX);
    }
    cr_assert(hll_is_dense(bytes_of(r)));
    free(r);
}

Test(hyperloglog, a_value_too_large_for_a_run_makes_it_dense)
{
    struct room *r = new_room();
    cr_assert_eq(hll_raise(&r->hll, 16383, 32, SPARSE_MAX), HLL_CHANGED);
    cr_assert_not(hll_is_dense(bytes_of(r)));
    cr_assert_eq(hll_raise(&r->hll, 16383, 33, SPARSE_MAX), HLL_CHANGED);
    cr_assert(hll_is_dense(bytes_of(r)));
    cr_assert_eq(hll_raise(&r->hll, 16383, 33, SPARSE_MAX), HLL_SAME);
    uint8_t registers[HLL_REGISTERS] = {0};
    cr_assert(hll_merge(registers, bytes_of(r)));
    cr_assert_eq(registers[16383], 33);
    free(r);
}

Test(hyperloglog, estimate_is_close)
{
    struct room *r = new_room();
    struct random_state random;
    random_seed(&random, 2);
    for (uint64_t n = 1; n <= 300000; n++) {
        add_number(r, random_u64(&random), SPARSE_MAX);
        if (n & (n - 1)) continue;
        double off = fabs((double)estimate(bytes_of(r)) - (double)n);
        cr_assert_leq(off, 1 + 0.04 * (double)n, "off by %f of %f", off, (double)n);
    }
    free(r);
}

/* Whatever bytes follow the header, nothing reads or writes outside of them. */
Test(hyperloglog, broken_ones_are_told)
{
    struct random_state random;
    random_seed(&random, 3);
    for (int round = 0; round < 3000; round++) {
        struct room *r = new_room();
        size_t len = random_below(&random, 40);
        for (size_t i = 0; i < len; i++) r->bytes[HLL_HEADER_BYTES + i] = (uint8_t)random_u64(&random);
        r->hll.len = HLL_HEADER_BYTES + len;
        uint8_t *exact = malloc(r->hll.len);
        memcpy(exact, r->bytes, r->hll.len);
        uint8_t registers[HLL_REGISTERS] = {0};
        bool good = hll_merge(registers, bytes_make(exact, r->hll.len));
        enum hll_outcome outcome = hll_raise(&r->hll, (unsigned)random_below(&random, HLL_REGISTERS), 40, SPARSE_MAX);
        cr_assert_eq(good, outcome != HLL_BROKEN);
        free(exact);
        free(r);
    }
    cr_assert_not(hll_recognized(BYTES("HYLL")));
    cr_assert_not(hll_recognized(BYTES("HYLL\2\0\0\0\0\0\0\0\0\0\0\0\x7f\xff")));
    cr_assert_not(hll_recognized(BYTES("HYLL\0\0\0\0\0\0\0\0\0\0\0\0\x7f\xff")));
    cr_assert_not(hll_recognized(BYTES("HYLX\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff")));
}
