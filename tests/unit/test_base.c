/* server/base: the small parts that everything else stands on. */
#include "server/base/alloc.h"
#include "server/base/bytes.h"
#include "server/base/clock.h"
#include "server/base/cpu_affinity.h"
#include "server/base/crc64.h"
#include "server/base/glob.h"
#include "server/base/hash.h"
#include "server/base/map.h"
#include "server/base/outq.h"
#include "server/base/random.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

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

Test(bytes, words_are_taken_off_the_front)
{
    struct bytes text = BYTES("one  two");
    cr_assert(bytes_equal(bytes_take_word(&text), BYTES("one")));
    cr_assert(bytes_equal(bytes_take_word(&text), BYTES("")), "between two blanks");
    cr_assert(bytes_equal(text, BYTES("two")));
    cr_assert(bytes_equal(bytes_take_word(&text), BYTES("two")));
    cr_assert_eq(text.len, 0);
    cr_assert_eq(bytes_take_word(&text).len, 0);
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
