/* server/base: the small parts that everything else stands on. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/alloc.h"
#include "server/base/bytes.h"
#include "server/base/clock.h"
#include "server/base/cpu_affinity.h"
#include "server/base/crc64.h"
#include "server/base/discard.h"
#include "server/base/file.h"
#include "server/base/file_window.h"
#include "server/base/glob.h"
#include "server/base/hash.h"
#include "server/base/log.h"
#include "server/base/map.h"
#include "server/base/number.h"
#include "server/base/outq.h"
#include "server/base/random.h"
#include "server/base/workers.h"

/* --- bytes --- */

Test(bytes, order_is_by_byte_then_by_length)
{
    cr_assert_lt(bytes_compare(BYTES("abc"), BYTES("abd")), 0);
    cr_assert_lt(bytes_compare(BYTES("ab"), BYTES("abc")), 0);
    cr_assert_gt(bytes_compare(BYTES("\xff"), BYTES("a")), 0);
    cr_assert_eq(bytes_compare(BYTES("a\0b"), BYTES("a\0b")), 0);
    cr_assert_lt(bytes_compare(bytes_make(NULL, 0), BYTES("a")), 0);
}

Test(bytes, equality_with_text)
{
    cr_assert(bytes_equal_text(BYTES("get"), "get"));
    cr_assert_not(bytes_equal_text(BYTES("get"), "gets"));
    cr_assert(bytes_equal_nocase(BYTES("GeT"), "gEt"));
    cr_assert_not(bytes_equal_nocase(BYTES("get"), "ge"));
    cr_assert_not(bytes_equal_nocase(BYTES("ge"), "get"));
    cr_assert_not(bytes_equal_nocase(BYTES("a\0"), "a"));
    cr_assert_not(bytes_equal_nocase(BYTES("["), "{"), "only letters have a case");
}

/* --- alloc --- */

static void *allocate_elsewhere(void *size)
{
    return mem_alloc((size_t)(uintptr_t)size);
}

Test(alloc, use_is_counted_over_threads)
{
    size_t before = mem_used();
    pthread_t thread;
    void *block;
    pthread_create(&thread, NULL, allocate_elsewhere, (void *)(uintptr_t)100000);
    pthread_join(thread, &block);
    cr_assert_eq(mem_used(), before + mem_size(block));
    block = mem_realloc(block, 200000);
    cr_assert_eq(mem_used(), before + mem_size(block));
    mem_note_peak();
    mem_free(block);
    cr_assert_eq(mem_used(), before);
    cr_assert_geq(mem_peak(), before + 200000);
    mem_reset_peak();
    cr_assert_eq(mem_peak(), before);
    mem_account(4096);
    cr_assert_eq(mem_used(), before + 4096);
    mem_account(-4096);
}

Test(alloc, counters_of_ended_threads_are_taken_over)
{
    enum { THREADS = 500 }; /* more than may live at once */
    size_t before = mem_used(), sum = 0;
    void *blocks[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, allocate_elsewhere, (void *)(uintptr_t)64);
        pthread_join(thread, &blocks[i]);
        sum += mem_size(blocks[i]);
    }
    cr_assert_eq(mem_used(), before + sum);
    for (int i = 0; i < THREADS; i++) mem_free(blocks[i]);
    cr_assert_eq(mem_used(), before);
}

Test(alloc, too_much_is_refused_only_where_asked_so)
{
    cr_assert_null(mem_try_alloc(SIZE_MAX / 4));
    void *block = mem_try_alloc(10);
    cr_assert_not_null(block);
    mem_free(block);
    mem_free(NULL);
}

Test(alloc, figures_of_the_process_are_plausible)
{
    struct mem_allocator_info info;
    void *block = mem_calloc(1, 1 << 20);
    mem_allocator_info(&info);
    cr_assert_geq(info.allocated, 1 << 20);
    cr_assert_geq(info.resident, info.allocated / 2);
    cr_assert_geq(mem_resident(), 1 << 20);
    mem_free(block);
}

/* --- number --- */

static void assert_i64(const char *text, int64_t value)
{
    int64_t parsed;
    char back[I64_TEXT_MAX];
    cr_assert_eq(parse_i64(bytes_from_text(text), &parsed), 0, "%s", text);
    cr_assert_eq(parsed, value, "%s", text);
    cr_assert_eq(format_i64(back, value), strlen(text), "%s", text);
    cr_assert_str_eq(back, text);
}

Test(number, integers_go_both_ways)
{
    assert_i64("0", 0);
    assert_i64("-1", -1);
    assert_i64("9223372036854775807", INT64_MAX);
    assert_i64("-9223372036854775808", INT64_MIN);
    int64_t value = 1;
    for (int digits = 1; digits < 19; digits++, value *= 10) {
        for (int64_t near = value - 1; near <= value + 1; near++) {
            char text[32];
            snprintf(text, sizeof(text), "%lld", (long long)near);
            assert_i64(text, near);
            snprintf(text, sizeof(text), "%lld", (long long)-near);
            assert_i64(text, -near);
        }
    }
}

Test(number, only_the_canonical_form_is_an_integer)
{
    const char *wrong[] = {"",
                           "-",
                           "-0",
                           "+1",
                           "01",
                           "-01",
                           " 1",
                           "1 ",
                           "1x",
                           "0x1",
                           "1.0",
                           "9223372036854775808",
                           "-9223372036854775809",
                           "18446744073709551616",
                           "99999999999999999999",
                           "111111111111111111111"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int64_t value;
        cr_assert_eq(parse_i64(bytes_from_text(wrong[i]), &value), -1, "'%s'", wrong[i]);
    }
    uint64_t large;
    cr_assert_eq(parse_u64(BYTES("18446744073709551615"), &large), 0);
    cr_assert_eq(large, UINT64_MAX);
    cr_assert_eq(parse_u64(BYTES("18446744073709551616"), &large), -1);
    cr_assert_eq(parse_u64(BYTES("-1"), &large), -1);
    cr_assert_eq(parse_i64(BYTES("1\0"), (int64_t *)&large), -1);
}

Test(number, what_is_a_float)
{
    const char *good[] = {"1", "-0", "1e5", ".5", "5.", "0x10", "inf", "+inf", "-Infinity", "1e-310"};
    const char *wrong[] = {"", " 1", "1 ", "nan", "1e", "1_", "+", "1e400", "1e-400", "--1"};
    double value;
    long double long_value;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert_eq(parse_double(bytes_from_text(good[i]), &value), 0, "'%s'", good[i]);
        cr_assert_eq(value, strtod(good[i], NULL));
        cr_assert_eq(parse_long_double(bytes_from_text(good[i]), &long_value), 0, "'%s'", good[i]);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_eq(parse_double(bytes_from_text(wrong[i]), &value), -1, "'%s'", wrong[i]);
    }
    cr_assert_eq(parse_long_double(BYTES("1e400"), &long_value), 0);
    cr_assert_eq(parse_long_double(BYTES("1e5000"), &long_value), -1);
    cr_assert_eq(parse_double(BYTES("1\0"), &value), -1);
}

static void assert_double(double value, const char *text)
{
    char out[DOUBLE_TEXT_MAX];
    cr_assert_eq(format_double(out, value), strlen(text), "%s", text);
    cr_assert_str_eq(out, text);
}

Test(number, floats_are_written_short)
{
    assert_double(3, "3");
    assert_double(-3, "-3");
    assert_double(0, "0");
    assert_double(0.1, "0.1");
    assert_double(3.3, "3.3");
    assert_double(1e16, "10000000000000000");
    assert_double(123456789012345678, "123456789012345680");
    assert_double(1e18, "1000000000000000000");
    assert_double(18446744073709551615.0, "18446744073709552000");
    assert_double(1e20, "1e+20");
    assert_double(1.5e300, "1.5e+300");
    assert_double(-1e-7, "-1e-7");
    assert_double(0.000001, "0.000001");
    assert_double(12345.678901234567, "1.2345678901234567e+4");
    assert_double(1234.5678901234567, "1234.5678901234567");
    assert_double(5e-324, "5e-324");
    assert_double(-0.0, "-0");
    assert_double(1.0 / 3, "0.3333333333333333");
    assert_double(INFINITY, "inf");
    assert_double(-INFINITY, "-inf");
    assert_double(NAN, "nan");
}

Test(number, every_float_survives_the_way_there_and_back)
{
    struct random_state random;
    random_seed(&random, 1);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = random_u64(&random);
        double value, back;
        char text[DOUBLE_TEXT_MAX];
        memcpy(&value, &bits, sizeof(value));
        if (isnan(value)) continue;
        size_t len = format_double(text, value);
        cr_assert_eq(parse_double(bytes_make(text, len), &back), 0, "%s", text);
        cr_assert_eq(back, value, "%s", text);
    }
}

static void assert_long_double(long double value, const char *text)
{
    char out[LONG_DOUBLE_TEXT_MAX];
    cr_assert_eq(format_long_double(out, value), strlen(text));
    cr_assert_str_eq(out, text);
}

Test(number, long_doubles_have_no_exponent_and_no_trailing_zeros)
{
    assert_long_double(3.0L, "3");
    assert_long_double(10.5L, "10.5");
    assert_long_double(100.0L, "100");
    assert_long_double(0.1L + 0.2L, "0.3");
    assert_long_double(-0.0L, "0");
    assert_long_double(-1e-30L, "0");
    assert_long_double(1e21L, "1000000000000000000000");
    char out[LONG_DOUBLE_TEXT_MAX];
    cr_assert_eq(format_long_double(out, 1e4931L), 4932);
}

Test(number, memory_sizes_have_units)
{
    const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"100", 100},    {"10b", 10},      {"1k", 1000},       {"1KB", 1024}, {"64mb", 64 << 20},
        {"2M", 2000000}, {"1gb", 1 << 30}, {"1G", 1000000000}, {"0", 0},      {"18446744073709551615", UINT64_MAX}};
    const char *wrong[] = {"1t", "-1", "1.5gb", " 1", "1 mb", "0x10", "18446744073709551616", "99999999999gb"};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert_eq(parse_memory(bytes_from_text(good[i].text), &bytes), 0, "%s", good[i].text);
        cr_assert_eq(bytes, good[i].bytes, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_eq(parse_memory(bytes_from_text(wrong[i]), &bytes), -1, "%s", wrong[i]);
    }
    char human[64];
    format_memory_human(human, 1023);
    cr_assert_str_eq(human, "1023B");
    format_memory_human(human, 12345678);
    cr_assert_str_eq(human, "11.77M");
    format_memory_human(human, (uint64_t)3 << 40);
    cr_assert_str_eq(human, "3.00T");
}

/* --- random, hash, clock --- */

Test(random, bounded_draws_are_even_and_repeatable)
{
    struct random_state a, b;
    size_t hits[7] = {0};
    random_seed(&a, 42);
    random_seed(&b, 42);
    for (int i = 0; i < 70000; i++) {
        uint64_t draw = random_below(&a, 7);
        cr_assert_lt(draw, 7);
        cr_assert_eq(draw, random_below(&b, 7));
        hits[draw]++;
    }
    for (int i = 0; i < 7; i++) cr_assert(hits[i] > 9500 && hits[i] < 10500);
}

Test(random, identities_are_hexadecimal_and_differ)
{
    char a[41] = {0}, b[41] = {0};
    random_hex(a, 40);
    random_hex(b, 40);
    cr_assert_eq(strspn(a, "0123456789abcdef"), 40);
    cr_assert_str_neq(a, b);
}

Test(clock, ticks_agree_with_the_monotonic_clock)
{
    clock_init();
    uint64_t start = clock_ticks();
    int64_t start_us = clock_monotonic_us(), us;
    do us = clock_monotonic_us() - start_us;
    while (us < 5000);
    uint64_t ns = clock_ticks_to_ns(clock_ticks() - start);
    cr_assert_geq(ns, 4900000);
    cr_assert_leq(ns / 1000, (uint64_t)(clock_monotonic_us() - start_us) + 500);
}

/* --- crc64 --- */

Test(crc64, check_value)
{
    cr_assert_eq(crc64(0, "123456789", 9), 0xe9c6d914c4b8d9ca);
    cr_assert_eq(crc64(7, "", 0), 7);
}

/* Bit by bit, straight from the definition. */
static uint64_t crc64_slowly(uint64_t crc, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0x95ac9329ac4bc9b5 : 0);
    }
    return crc;
}

Test(crc64, every_length_alignment_and_split_agrees_with_the_definition)
{
    uint8_t data[2048];
    struct random_state random;
    random_seed(&random, 3);
    for (size_t i = 0; i < sizeof(data); i++) data[i] = (uint8_t)random_u64(&random);
    for (size_t len = 0; len < 1500; len++) {
        uint64_t start = random_u64(&random);
        size_t offset = len % 19, split = random_below(&random, len + 1);
        uint64_t expected = crc64_slowly(start, data + offset, len);
        cr_assert_eq(crc64(start, data + offset, len), expected, "%zu bytes", len);
        uint64_t first = crc64(start, data + offset, split);
        cr_assert_eq(crc64(first, data + offset + split, len - split), expected, "%zu bytes", len);
    }
}

/* --- glob --- */

static bool matches(const char *pattern, const char *text)
{
    return glob_match(bytes_from_text(pattern), bytes_from_text(text), false);
}

Test(glob, elements)
{
    cr_assert(matches("", ""));
    cr_assert_not(matches("*", ""), "an empty text is matched by an empty pattern alone");
    cr_assert_not(matches("", "a"));
    cr_assert(matches("h?llo", "hello"));
    cr_assert_not(matches("h?llo", "hllo"));
    cr_assert(matches("h*llo", "heeeello"));
    cr_assert(matches("*a*b*c*", "xxaxxbxxcxx"));
    cr_assert_not(matches("*a*b*c*", "xxaxxcxxbxx"));
    cr_assert(matches("h[ae]llo", "hallo"));
    cr_assert_not(matches("h[ae]llo", "hillo"));
    cr_assert(matches("h[^e]llo", "hallo"));
    cr_assert_not(matches("h[^e]llo", "hello"));
    cr_assert(matches("h[a-c]llo", "hbllo"));
    cr_assert(matches("h[c-a]llo", "hbllo"), "a range may stand the wrong way round");
    cr_assert(matches("h[\\]]llo", "h]llo"));
    cr_assert(matches("a\\*b", "a*b"));
    cr_assert_not(matches("a\\*b", "axb"));
    cr_assert(matches("a\\", "a\\"), "a last backslash stands for itself");
    cr_assert(matches("a[b", "ab"), "a class may be cut off");
    cr_assert_not(matches("a[]", "a"));
    cr_assert(matches("**", "ab"));
    cr_assert(matches("ab**", "ab"));
}

Test(glob, case_is_ignored_only_when_asked)
{
    cr_assert_not(matches("HELLO[A-C]", "hellob"));
    cr_assert(glob_match(BYTES("HELLO[A-C]"), BYTES("hellob"), true));
    cr_assert(glob_match(BYTES("h\\Ello"), BYTES("Hello"), true));
}

Test(glob, many_stars_take_no_exponential_time, .timeout = 10)
{
    char pattern[2001], text[20001];
    for (int i = 0; i < 2000; i += 2) memcpy(pattern + i, "*a", 2);
    memset(text, 'a', 20000);
    pattern[1999] = 'b';
    pattern[2000] = text[20000] = 0;
    cr_assert_not(matches(pattern, text));
}

/* --- map --- */

static struct bytes numbered_key(char out[32], size_t n)
{
    return bytes_make(out, (size_t)snprintf(out, 32, "key:%zu", n));
}

Test(map, holds_what_was_put_in_through_growth_and_removal)
{
    enum { KEYS = 20000 };
    struct map m;
    char text[32];
    hash_init();
    map_init(&m);
    cr_assert_null(map_get(&m, BYTES("absent")));
    cr_assert_null(map_remove(&m, BYTES("absent")));
    for (size_t i = 1; i <= KEYS; i++) *map_slot(&m, numbered_key(text, i)) = (void *)i;
    for (size_t i = 1; i <= KEYS; i += 2) cr_assert_eq(map_remove(&m, numbered_key(text, i)), (void *)i);
    cr_assert_eq(m.count, KEYS / 2);
    for (size_t i = 1; i <= KEYS; i++) {
        cr_assert_eq(map_get(&m, numbered_key(text, i)), i % 2 ? NULL : (void *)i);
    }
    map_clear(&m);
    cr_assert_eq(m.count, 0);
}

Test(map, removed_slots_do_not_make_it_grow)
{
    struct map m = {0};
    char text[32];
    for (size_t i = 0; i < 100000; i++) {
        *map_slot(&m, numbered_key(text, i)) = &m;
        cr_assert_eq(map_remove(&m, numbered_key(text, i)), &m);
    }
    cr_assert_leq(m.capacity, 16);
    map_clear(&m);
}

Test(map, shrinks_when_most_of_it_is_gone)
{
    enum { KEYS = 20000 };
    struct map m = {0};
    char text[32];
    size_t seen = 0;
    for (size_t i = 0; i < KEYS; i++) *map_slot(&m, numbered_key(text, i)) = &m;
    *map_slot(&m, bytes_make(NULL, 0)) = &m;
    for (size_t i = 3; i < KEYS; i++) cr_assert_eq(map_remove(&m, numbered_key(text, i)), &m);
    cr_assert_leq(m.capacity, 256);
    for (struct map_entry *e = map_next(&m, NULL); e; e = map_next(&m, e)) seen++;
    cr_assert_eq(seen, 4);
    cr_assert_eq(map_remove(&m, bytes_make(NULL, 0)), &m);
    for (size_t i = 0; i < 3; i++) cr_assert_eq(map_get(&m, numbered_key(text, i)), &m);
    map_clear(&m);
}

/* --- outq --- */

static char *drain(struct outq *q, size_t piece)
{
    char *text = mem_alloc(outq_pending(q) + 1);
    size_t len = 0;
    while (!outq_empty(q)) {
        struct bytes front = outq_front(q);
        size_t n = front.len < piece ? front.len : piece;
        cr_assert_gt(n, 0);
        memcpy(text + len, front.ptr, n);
        len += n;
        outq_consume(q, n);
    }
    text[len] = 0;
    cr_assert_eq(outq_pending(q), 0);
    cr_assert_eq(outq_memory(q), 0);
    return text;
}

Test(outq, bytes_leave_in_the_order_they_came)
{
    struct random_state random;
    random_seed(&random, 5);
    for (int round = 0; round < 50; round++) {
        struct outq q = {0};
        uint8_t *data = mem_alloc(400000);
        size_t len = 0, sizes[] = {1, 100, 20000, 90000};
        for (size_t i = 0; i < 400000; i++) data[i] = (uint8_t)('a' + i * 7919 % 26);
        while (len < 300000) {
            size_t n = random_below(&random, sizes[random_below(&random, 4)]);
            if (random_u64(&random) & 1) {
                uint8_t *at = outq_reserve(&q, n);
                outq_reserve(&q, n * 2); /* a reservation may be left unused */
                at = outq_reserve(&q, n);
                memcpy(at, data + len, n);
                outq_commit(&q, at + n);
            } else {
                outq_append(&q, data + len, n);
            }
            len += n;
            cr_assert_eq(outq_pending(&q), len);
        }
        char *text = drain(&q, 1 + random_below(&random, 30000));
        cr_assert_eq(memcmp(text, data, len), 0);
        mem_free(text);
        mem_free(data);
    }
}

Test(outq, appended_bytes_never_move_the_earlier_ones)
{
    struct outq q = {0};
    outq_append(&q, "first", 5);
    struct bytes front = outq_front(&q);
    for (int i = 0; i < 10000; i++) outq_append(&q, "0123456789", 10);
    cr_assert_eq(outq_front(&q).ptr, front.ptr);
    cr_assert_eq(memcmp(front.ptr, "first", 5), 0);
    outq_consume(&q, 5 + 10 * 10000);
    cr_assert(outq_empty(&q));
}

Test(outq, one_queue_moves_behind_another)
{
    const size_t sizes[] = {0, 1, 1000, 16 * 1024, 100000};
    for (size_t i = 0; i < 25; i++) {
        size_t first = sizes[i / 5], second = sizes[i % 5];
        struct outq to = {0}, from = {0};
        for (size_t n = 0; n < first; n++) outq_append(&to, "a", 1);
        for (size_t n = 0; n < second; n++) outq_append(&from, "b", 1);
        outq_reserve(&to, 1);
        outq_move(&to, &from);
        cr_assert(outq_empty(&from));
        outq_append(&to, "c", 1);
        cr_assert_eq(outq_pending(&to), first + second + 1);
        char *text = drain(&to, SIZE_MAX);
        cr_assert_eq(strspn(text, "a"), first);
        cr_assert_eq(strspn(text + first, "b"), second);
        cr_assert_str_eq(text + first + second, "c");
        mem_free(text);
    }
}

Test(outq, all_of_a_queue_is_taken_as_a_copy)
{
    static uint8_t taken[120000];
    for (size_t len = 0; len < sizeof taken; len = 3 * len + 1) {
        struct outq q = {0};
        size_t gone = len / 3;
        for (size_t n = 0; n < len; n++) outq_append(&q, &(uint8_t){(uint8_t)(n % 251)}, 1);
        outq_reserve(&q, OUTQ_CHUNK_BYTES);
        outq_consume(&q, gone);
        outq_take(&q, taken);
        for (size_t n = gone; n < len; n++) cr_assert_eq(taken[n - gone], n % 251);
        cr_assert(outq_empty(&q));
        cr_assert_eq(outq_memory(&q), 0);
    }
}

Test(outq, a_cleared_queue_holds_nothing)
{
    struct outq q = {0};
    cr_assert(outq_empty(&q));
    cr_assert_eq(outq_front(&q).len, 0);
    for (int i = 0; i < 100000; i++) outq_append(&q, "0123456789", 10);
    cr_assert_geq(outq_memory(&q), 1000000);
    outq_clear(&q);
    cr_assert_eq(outq_memory(&q), 0);
    cr_assert_eq(outq_pending(&q), 0);
}

/* --- file and log --- */

static void make_directory(char path[64])
{
    strcpy(path, "/tmp/slipstream-base-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
}

Test(file, replaced_whole_and_read_whole)
{
    char directory[64], path[96];
    uint8_t *data;
    size_t len;
    make_directory(directory);
    snprintf(path, sizeof(path), "%s/file", directory);
    cr_assert_eq(file_read_whole(path, &data, &len), -1);
    cr_assert_eq(errno, ENOENT);
    cr_assert_eq(file_replace(path, "one", 3, 0600), 0);
    cr_assert_eq(file_replace(path, "second", 6, 0600), 0);
    cr_assert_eq(file_read_whole(path, &data, &len), 0);
    cr_assert_eq(len, 6);
    cr_assert_str_eq((char *)data, "second");
    mem_free(data);
    unlink(path);
    cr_assert_eq(rmdir(directory), 0, "a temporary file was left");
    cr_assert_eq(file_replace(path, "x", 1, 0600), -1);
    cr_assert_eq(file_read_whole("/proc/self/stat", &data, &len), 0, "a file without a size");
    cr_assert_gt(len, 0);
    mem_free(data);
}

/* The kernel copies into no file that is open for appending: that is done by hand. */
Test(file, copied_by_the_kernel_or_by_hand)
{
    static const int modes[] = {0, O_APPEND};
    enum { LEN = 200001 };
    char directory[64], from_path[96], to_path[96];
    uint8_t *written = mem_alloc(LEN), *data;
    size_t len;
    for (size_t i = 0; i < LEN; i++) written[i] = (uint8_t)(i * 31 + i / 251);
    make_directory(directory);
    snprintf(from_path, sizeof(from_path), "%s/from", directory);
    snprintf(to_path, sizeof(to_path), "%s/to", directory);
    int from = open(from_path, O_RDWR | O_CREAT, 0600);
    cr_assert_eq(file_write_all(from, written, LEN), 0);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        int to = open(to_path, O_WRONLY | O_CREAT | O_TRUNC | modes[i], 0600);
        cr_assert_eq(file_copy_all(from, to), 0);
        cr_assert_eq(file_copy_all(to, from), -1, "what cannot be read");
        close(to);
        cr_assert_eq(file_read_whole(to_path, &data, &len), 0);
        cr_assert_eq(len, LEN);
        cr_assert_eq(memcmp(data, written, LEN), 0);
        mem_free(data);
    }
    close(from);
    unlink(from_path);
    unlink(to_path);
    rmdir(directory);
    mem_free(written);
}

Test(file, a_window_gives_what_is_asked_for_in_one_piece)
{
    enum { LEN = 1000000 };
    int fd = open("/tmp", O_RDWR | O_TMPFILE, 0600);
    cr_assert_geq(fd, 0);
    uint8_t *written = mem_alloc(LEN);
    for (size_t i = 0; i < LEN; i++) written[i] = (uint8_t)(i * 7 + i / 253);
    cr_assert_eq(pwrite(fd, written, LEN, 0), LEN);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    struct file_window w;
    file_window_init(&w);
    size_t at = 0;
    static const size_t pieces[] = {1, 100000, 300000, 7, 500000}; /* some larger than what it begins with */
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        cr_assert_eq(file_window_fill(&w, fd, pieces[i]), 0);
        struct bytes unread = file_window_unread(&w);
        cr_assert_geq(unread.len, pieces[i]);
        cr_assert_eq(memcmp(unread.ptr, written + at, pieces[i]), 0);
        file_window_consume(&w, pieces[i]);
        at += pieces[i];
    }
    cr_assert_eq(file_window_fill(&w, fd, LEN - at + 1), -1);
    cr_assert_eq(errno, ENODATA);
    cr_assert_eq(file_window_unread(&w).len, LEN - at, "what there is stands there all the same");
    cr_assert_eq(file_window_fill(&w, fd, UINT64_MAX), -1);
    cr_assert_eq(errno, ENOMEM);
    file_window_restart(&w);
    cr_assert_eq(lseek(fd, 10, SEEK_SET), 10);
    cr_assert_eq(file_window_fill(&w, fd, 1), 0);
    cr_assert_eq(file_window_unread(&w).ptr[0], written[10]);
    file_window_free(&w);
    mem_free(written);
    close(fd);
}

Test(log, lines_have_redis_form)
{
    char directory[64], path[96], mark;
    uint8_t *data;
    size_t len;
    int pid, day, year, hour, minute, second, ms;
    char role, month[4], message[64];
    make_directory(directory);
    snprintf(path, sizeof(path), "%s/log", directory);
    log_open(path, LOG_VERBOSE);
    log_set_role('S');
    log_debug("not seen");
    log_notice("Ready to accept %s", "connections");
    cr_assert_eq(file_read_whole(path, &data, &len), 0);
    cr_assert_eq(sscanf((char *)data, "%d:%c %d %3s %d %d:%d:%d.%3d %c %63[^\n]", &pid, &role, &day, month, &year,
                        &hour, &minute, &second, &ms, &mark, message),
                 11, "%s", (char *)data);
    cr_assert_eq(pid, getpid());
    cr_assert_eq(role, 'S');
    cr_assert_eq(mark, '*');
    cr_assert_str_eq(message, "Ready to accept connections");
    cr_assert_eq(data[len - 1], '\n');
    mem_free(data);
    unlink(path);
    rmdir(directory);
}

/* --- workers --- */

struct counting_job {
    struct worker_job job; /* first: the queue hands back its address */
    pthread_t ran_on;
    int *done;
};

static void run_counting(struct worker_job *job)
{
    ((struct counting_job *)job)->ran_on = pthread_self();
}

static void finish_counting(struct worker_job *job)
{
    struct counting_job *c = (struct counting_job *)job;
    cr_assert_not(pthread_equal(c->ran_on, pthread_self()));
    ++*c->done;
    mem_free(c);
}

static void submit_counting(enum worker_kind kind, int *done)
{
    struct counting_job *c = mem_calloc(1, sizeof(*c));
    c->job.run = run_counting;
    c->job.done = finish_counting;
    c->done = done;
    workers_submit(kind, &c->job);
}

static void collect_until(int event_fd, const int *done, int wanted)
{
    while (*done < wanted) {
        struct pollfd p = {.fd = event_fd, .events = POLLIN};
        cr_assert_eq(poll(&p, 1, 10000), 1, "no wake-up");
        workers_collect();
    }
}

Test(workers, jobs_run_elsewhere_and_finish_here)
{
    int fd = workers_start(), done = 0;
    cr_assert_geq(fd, 0);
    for (int i = 0; i < 3000; i++) submit_counting((enum worker_kind)(i % WORKER_KINDS), &done);
    collect_until(fd, &done, 3000);
    for (int kind = 0; kind < WORKER_KINDS; kind++) {
        workers_drain((enum worker_kind)kind);
        cr_assert_eq(workers_pending((enum worker_kind)kind), 0);
    }
}

static void free_job(struct worker_job *job)
{
    mem_free(job);
}

/* --- files let go of --- */

struct busy_job {
    struct worker_job job;
    pthread_mutex_t *mutex;
};

static void wait_for_mutex(struct worker_job *job)
{
    pthread_mutex_t *mutex = ((struct busy_job *)job)->mutex;
    pthread_mutex_lock(mutex);
    pthread_mutex_unlock(mutex);
    mem_free(job);
}

static int open_scratch(char path[64])
{
    strcpy(path, "/tmp/slipstream-discard-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(file_write_all(fd, "content", 7), 0);
    return fd;
}

static off_t size_of(int fd)
{
    struct stat status;
    cr_assert_eq(fstat(fd, &status), 0);
    return status.st_size;
}

/* The worker is busy: whoever discards a file goes on all the same, and the worker does it later. */
Test(discard, large_files_are_closed_elsewhere)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct busy_job *busy = mem_calloc(1, sizeof *busy);
    char path[64], other[64];
    cr_assert_geq(workers_start(), 0);
    int nameless = open_scratch(path), link_end = dup(nameless);
    close(open_scratch(other));
    *busy = (struct busy_job){.job.run = wait_for_mutex, .mutex = &mutex};
    pthread_mutex_lock(&mutex);
    workers_submit(WORKER_CLOSE, &busy->job);
    cr_assert_eq(discard_path(path), 0);
    cr_assert_eq(access(path, F_OK), -1, "the name goes at once");
    discard_file(nameless);
    cr_assert_eq(size_of(nameless), 7, "not yet");
    pthread_mutex_unlock(&mutex);
    workers_drain(WORKER_CLOSE);
    cr_assert_eq(fcntl(nameless, F_GETFD), -1);
    cr_assert_eq(size_of(link_end), 0, "another holder's close has nothing left to free");
    close(link_end);
    cr_assert_eq(discard_path("/no/such/file"), -1);
    cr_assert_eq(errno, ENOENT);
    cr_assert_eq(discard_path(other), 0);
}

Test(discard, without_workers_the_caller_does_it)
{
    char path[64];
    int fd = open_scratch(path), second = dup(fd);
    cr_assert_eq(discard_path(path), 0);
    cr_assert_eq(size_of(fd), 7);
    discard_file(fd);
    cr_assert_eq(fcntl(fd, F_GETFD), -1);
    cr_assert_eq(size_of(second), 0);
    close(second);
}

Test(workers, a_job_without_done_belongs_to_its_run)
{
    cr_assert_geq(workers_start(), 0);
    size_t before = mem_used();
    for (int i = 0; i < 100; i++) {
        struct worker_job *job = mem_calloc(1, sizeof(*job));
        job->run = free_job;
        workers_submit(WORKER_FREE, job);
    }
    workers_drain(WORKER_FREE);
    cr_assert_eq(mem_used(), before);
}

Test(workers, a_forked_child_may_have_its_own)
{
    int done = 0, status;
    collect_until(workers_start(), &done, 0);
    submit_counting(WORKER_FSYNC, &done);
    pid_t child = fork();
    if (child == 0) {
        int own = 0, fd = workers_start();
        submit_counting(WORKER_FSYNC, &own);
        collect_until(fd, &own, 1);
        _exit(own);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    collect_until(workers_start(), &done, 1);
}

/* --- lists of processors --- */

static bool parsed_as(const char *list, const char *bits)
{
    cpu_set_t set;
    if (!cpu_list_parse(list, &set)) return false;
    for (size_t i = 0; bits[i]; i++)
        if ((CPU_ISSET(i, &set) != 0) != (bits[i] == '1')) return false;
    return (size_t)CPU_COUNT(&set) <= strlen(bits);
}

Test(base, cpu_list_parse)
{
    static const char *const refused[] = {
        "", ",", "1,", "-1", "1-", "2-1", "0-4:0", "0-4:", "a", "1 ", "1024", "0-1024", "99999999999999999999", "1,,2"};
    cr_expect(parsed_as("0", "10"));
    cr_expect(parsed_as("1,3", "01010"));
    cr_expect(parsed_as("0-7:2", "1010101000"));
    cr_expect(parsed_as("1,4-5", "010011000"));
    cr_expect(parsed_as("0-2:5,4", "10001"));
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        cpu_set_t set;
        cr_expect(!cpu_list_parse(refused[i], &set), "'%s'", refused[i]);
    }
}
