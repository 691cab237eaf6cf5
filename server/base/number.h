/* Numbers as Redis reads and writes them: strict, locale-free, and round-trip exact.
 *
 * "Strict" means the canonical form only: no blanks, no plus sign, no leading zero, nothing after the digits; that is
 * what decides whether a string value may be stored as an integer and still give back the same bytes. */
#ifndef SLIPSTREAM_BASE_NUMBER_H
#define SLIPSTREAM_BASE_NUMBER_H

#include "server/base/bytes.h"

#define I64_TEXT_MAX    21  /* sign and 19 digits and a zero */
#define DOUBLE_TEXT_MAX 400 /* "%.17g" needs 25; a long double in fixed notation needs up to 5,000, see below */

int parse_i64(struct bytes text, int64_t *out);           /* strict; 0 or -1 */
int parse_u64(struct bytes text, uint64_t *out);          /* strict; 0 or -1 */
size_t format_i64(char out[I64_TEXT_MAX], int64_t value); /* returns the length; zero-terminates */
size_t format_u64(char out[I64_TEXT_MAX], uint64_t value);

/* What Redis's commands accept as a float: strtod's grammar and inf; no blanks around, no NaN, no trailing bytes. */
int parse_double(struct bytes text, double *out);
int parse_long_double(struct bytes text, long double *out);

/* Redis 7.2's form, the fewest digits that read back as the same double: 0.1 is "0.1", 3 is "3", 1e20 is "1e+20", inf
 * is "inf". */
size_t format_double(char out[DOUBLE_TEXT_MAX], double value);
/* INCRBYFLOAT's form: "%.17Lf" with trailing zeros removed. `out` has at least LONG_DOUBLE_TEXT_MAX bytes. */
#define LONG_DOUBLE_TEXT_MAX (5 * 1024)
size_t format_long_double(char *out, long double value);

/* "1gb", "64mb", "100", "1k" (k = 1000, kb = 1024): a size in bytes; 0 or -1. Also accepts a percentage-free plain
 * number. */
int parse_memory(struct bytes text, uint64_t *out_bytes);
/* 12345678 -> "11.77M": INFO's *_human fields. `out` has at least 64 bytes. */
void format_memory_human(char *out, uint64_t bytes);

#endif
