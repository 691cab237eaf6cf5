/* Numbers to text and back, for commands, replies, the configuration and the files. Any process.
 *
 * Integers are written two digits at a time from a table, into place: they stand in every reply. Floating point goes
 * through the C library, whose results are exact; no part of ours sets a numeric locale. */
#include "server/base/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define U64_DIGITS_MAX 20

/* Digits alone, the first not a zero unless it is the only one. */
int parse_u64(struct bytes text, uint64_t *out)
{
    if (text.len == 0 || text.len > U64_DIGITS_MAX || (text.ptr[0] == '0' && text.len > 1)) return -1;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = text.ptr[i] - (unsigned)'0';
        if (digit > 9) return -1;
        if (i == U64_DIGITS_MAX - 1 && (value > UINT64_MAX / 10 || value * 10 > UINT64_MAX - digit)) return -1;
        value = value * 10 + digit;
    }
    *out = value;
    return 0;
}

int parse_i64(struct bytes text, int64_t *out)
{
    uint64_t magnitude;
    bool negative = text.len > 0 && text.ptr[0] == '-';
    if (negative) text = bytes_make(text.ptr + 1, text.len - 1);
    if (parse_u64(text, &magnitude) != 0) return -1;
    if (negative && magnitude == 0) return -1;
    if (magnitude > (uint64_t)INT64_MAX + negative) return -1;
    *out = (int64_t)(negative ? -magnitude : magnitude);
    return 0;
}

static size_t count_digits(uint64_t value)
{
    size_t digits = 1;
    for (;; value /= 10000, digits += 4) {
        if (value < 10) return digits;
        if (value < 100) return digits + 1;
        if (value < 1000) return digits + 2;
        if (value < 10000) return digits + 3;
    }
}

static size_t write_digits(char *out, uint64_t value)
{
    static const char pairs[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    size_t len = count_digits(value), at = len;
    out[len] = 0;
    while (value >= 100) {
        memcpy(out + (at -= 2), pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        memcpy(out, pairs + value * 2, 2);
    } else {
        out[0] = (char)('0' + value);
    }
    return len;
}

size_t format_u64(char out[I64_TEXT_MAX], uint64_t value)
{
    return write_digits(out, value);
}

size_t format_i64(char out[I64_TEXT_MAX], int64_t value)
{
    if (value >= 0) return write_digits(out, (uint64_t)value);
    out[0] = '-';
    return 1 + write_digits(out + 1, -(uint64_t)value);
}

/* A zero-terminated copy that strtod may read, or -1 when the text cannot be a number at all. */
static int copy_for_strtod(struct bytes text, char copy[LONG_DOUBLE_TEXT_MAX])
{
    if (text.len == 0 || text.len >= LONG_DOUBLE_TEXT_MAX || isspace(text.ptr[0])) return -1;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return 0;
}

int parse_double(struct bytes text, double *out)
{
    char copy[LONG_DOUBLE_TEXT_MAX], *end;
    if (copy_for_strtod(text, copy) != 0) return -1;
    errno = 0;
    double value = strtod(copy, &end);
    if (end != copy + text.len || isnan(value)) return -1;
    if (errno == ERANGE && (isinf(value) || value == 0)) return -1; /* a denormal result is ERANGE too, and good */
    *out = value;
    return 0;
}

int parse_long_double(struct bytes text, long double *out)
{
    char copy[LONG_DOUBLE_TEXT_MAX], *end;
    if (copy_for_strtod(text, copy) != 0) return -1;
    errno = 0;
    long double value = strtold(copy, &end);
    if (end != copy + text.len || isnan(value)) return -1;
    if (errno == ERANGE && (isinf(value) || value == 0)) return -1;
    *out = value;
    return 0;
}

/* Not-numbers and infinities; 0 for any other value. */
static size_t format_special(char *out, long double value)
{
    const char *text = isnan(value) ? "nan" : isinf(value) ? (value > 0 ? "inf" : "-inf") : "";
    strcpy(out, text);
    return strlen(text);
}

/* A finite number: digits, the first of which stands for so many powers of ten, the last one not being 0. */
struct decimal {
    char digits[20];
    int count, exponent;
};

/* The fewest digits that read back as the same double. */
static void shortest_decimal(double value, struct decimal *out)
{
    char text[32];
    int least = isnormal(value) ? 15 : 1; /* so many always survive the way back; 17 always suffice */
    for (int digits = least; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value) break;
    }
    out->count = 0;
    const char *at = text;
    for (; *at != 'e'; at++)
        if (isdigit((unsigned char)*at)) out->digits[out->count++] = *at;
    out->exponent = atoi(at + 1);
    while (out->count > 1 && out->digits[out->count - 1] == '0') out->count--;
}

/* Without an exponent where that takes few zeros, as Redis 7.2 decides it. */
static size_t write_decimal(char *out, const struct decimal *d)
{
    int last_place = d->exponent - (d->count - 1), whole = d->exponent + 1;
    if (last_place >= 0 && last_place <= 7)
        return (size_t)sprintf(out, "%.*s%.*s", d->count, d->digits, last_place, "0000000");
    if (last_place < 0 && (last_place > -7 || abs(d->exponent) < 4)) {
        if (whole <= 0) return (size_t)sprintf(out, "0.%.*s%.*s", -whole, "0000000", d->count, d->digits);
        return (size_t)sprintf(out, "%.*s.%.*s", whole, d->digits, d->count - whole, d->digits + whole);
    }
    const char *point = d->count > 1 ? "." : "";
    return (size_t)sprintf(out, "%c%s%.*se%+d", d->digits[0], point, d->count - 1, d->digits + 1, d->exponent);
}

size_t format_double(char out[DOUBLE_TEXT_MAX], double value)
{
    size_t special = format_special(out, value);
    if (special) return special;
    bool negative = signbit(value);
    if (value == 0) return strlen(strcpy(out, negative ? "-0" : "0"));
    if (fabs(value) <= 0x1p62 && value == (double)(int64_t)value) return format_i64(out, (int64_t)value);
    struct decimal decimal;
    shortest_decimal(fabs(value), &decimal);
    if (negative) *out = '-';
    return negative + write_decimal(out + negative, &decimal);
}

size_t format_long_double(char *out, long double value)
{
    size_t special = format_special(out, value);
    if (special) return special;
    size_t len = (size_t)snprintf(out, LONG_DOUBLE_TEXT_MAX, "%.17Lf", value);
    while (out[len - 1] == '0') len--; /* stops at the point at the latest */
    if (out[len - 1] == '.') len--;
    out[len] = 0;
    if (strcmp(out, "-0") == 0) len = strlen(strcpy(out, "0"));
    return len;
}

int parse_memory(struct bytes text, uint64_t *out_bytes)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1 << 10},
        {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30},
    };
    uint64_t number = 0;
    size_t digits = 0;
    for (; digits < text.len && isdigit(text.ptr[digits]); digits++) {
        if (__builtin_mul_overflow(number, 10, &number)) return -1;
        if (__builtin_add_overflow(number, text.ptr[digits] - (unsigned)'0', &number)) return -1;
    }
    struct bytes unit = bytes_make(text.ptr + digits, text.len - digits);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!bytes_equal_nocase(unit, units[i].name)) continue;
        return __builtin_mul_overflow(number, units[i].bytes, out_bytes) ? -1 : 0;
    }
    return -1;
}

void format_memory_human(char *out, uint64_t bytes)
{
    static const char units[] = "KMGTP";
    if (bytes < 1024) {
        sprintf(out, "%lluB", (unsigned long long)bytes);
        return;
    }
    int unit = 0;
    double scaled = (double)bytes / 1024;
    for (; scaled >= 1024 && unit < 4; unit++) scaled /= 1024;
    sprintf(out, "%.2f%c", scaled, units[unit]);
}
