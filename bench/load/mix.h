/* Requests of several kinds, drawn by weight. */
#ifndef LOAD_MIX_H
#define LOAD_MIX_H

#include "bench/load/request.h"

#define MIX_MAX     16
#define MIX_WEIGHTS (1u << 20) /* weights add up to it */

struct mix {
    struct request requests[MIX_MAX]; /* owned */
    double weights[MIX_MAX];
    uint32_t upto[MIX_MAX]; /* of MIX_WEIGHTS: this one's share and all before it */
    int count;
    size_t room; /* of the longest */
};

/* Adds one: see request_parse(); "WEIGHT:WORDS" or WORDS, which weigh 1. 0; -1: no request, or too many. */
int mix_add(struct mix *m, const char *text, const struct request_source *source);
void mix_free(struct mix *m);
/* Writes one to `out`; how many bytes. */
size_t mix_put(const struct mix *m, struct request_source *source, char *out);

#endif
