/* How long a value is: by a distribution that a text names. */
#ifndef LOAD_SIZES_H
#define LOAD_SIZES_H

#include "server/base/random.h"

#include <stdbool.h>
#include <stdint.h>

#define SIZES_MAX      16
#define SIZE_BYTES_MAX (16 << 20)
#define SIZES_WEIGHTS  (1u << 20) /* weights add up to it */

/* "64" bytes; "10-1000": any length between, alike often; "64*9,1024*1": nine of ten are short. Parts may be ranges. */
struct sizes {
    struct size_part {
        uint32_t low_bytes, high_bytes;
        uint32_t upto; /* of SIZES_WEIGHTS: this part's share and all before it */
    } parts[SIZES_MAX];
    int count;
};

/* 0; -1: the text names no sizes. */
int sizes_parse(struct sizes *s, const char *text);
uint32_t sizes_next(const struct sizes *s, struct random_state *r);
uint32_t sizes_largest(const struct sizes *s);
bool sizes_are_fixed(const struct sizes *s);

#endif
