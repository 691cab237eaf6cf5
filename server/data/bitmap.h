/* Strings seen as rows of bits. Bit 0 is the most significant bit of byte 0. Pure; server process. */
#ifndef SLIPSTREAM_DATA_BITMAP_H
#define SLIPSTREAM_DATA_BITMAP_H

#include "server/base/bytes.h"

/* A run of bits of a string, both ends included. */
struct bit_range {
    uint64_t first, last;
};

uint64_t bitmap_count_range(struct bytes b, struct bit_range range); /* which lies inside b */
/* Position of the first bit of the range that is `bit`; -1: there is none. */
int64_t bitmap_find(struct bytes b, struct bit_range range, bool bit);

enum bitmap_operation {
    BITMAP_AND,
    BITMAP_OR,
    BITMAP_XOR,
    BITMAP_NOT,
    BITMAP_DIFF,  /* of the first source, and of none of the others; this and the next ones as of Redis 8.2 */
    BITMAP_DIFF1, /* of one of the others at least, and not of the first */
    BITMAP_ANDOR, /* of the first, and of one of the others at least */
    BITMAP_ONE,   /* of exactly one */
};

/* Combines the sources bit by bit into out, as long as the longest of them; shorter ones count as if filled up with
 * zeros. NOT has one source; DIFF, DIFF1 and ANDOR have two at least. */
void bitmap_combine(enum bitmap_operation operation, const struct bytes *sources, size_t count, uint8_t *out,
                    size_t len);

/* A number of 1 to 64 bits, most significant first, at any bit; all of it lies inside the string. */
uint64_t bitmap_get_number(const uint8_t *data, uint64_t at_bit, unsigned bits);
void bitmap_set_number(uint8_t *data, uint64_t at_bit, unsigned bits, uint64_t number);

#endif
