/* Which key a request asks for: numbers from 0 on, by a distribution that a text names. */
#ifndef LOAD_KEYS_H
#define LOAD_KEYS_H

#include "server/base/random.h"

#include <stdint.h>

enum key_distribution {
    KEYS_UNIFORM, /* "uniform" */
    KEYS_ZIPF,    /* "zipf:0.99": number k (from 1 on) as often as k to the power of -0.99; key 0 is the favourite */
    KEYS_HOT,     /* "hot:0.01:0.9": the first hundredth of the keys gets nine tenths of the requests */
};

struct keys {
    enum key_distribution distribution;
    uint64_t count;
    double exponent;                              /* of Zipf */
    double integral_first, integral_last, margin; /* of the sampling, once for all draws */
    uint64_t hot;
    double hot_share;
};

/* 0; -1: the text names no distribution, or the count is 0. */
int keys_parse(struct keys *k, const char *text, uint64_t count);
uint64_t keys_next(const struct keys *k, struct random_state *r);

#endif
