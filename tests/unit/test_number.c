/* server/base/number.h: integers, floats and sizes of memory, as Redis reads and writes them. */
#include "server/base/number.h"

#include "server/base/random.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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
