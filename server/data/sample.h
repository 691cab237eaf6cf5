/* Drawing distinct elements at random, all sets of them being equally likely: SRANDMEMBER, HRANDFIELD, ZRANDMEMBER. */
#ifndef SLIPSTREAM_DATA_SAMPLE_H
#define SLIPSTREAM_DATA_SAMPLE_H

#include "server/data/member_table.h"

/* Walking over `left` elements in order, `wanted` of which are to be taken: asked once for each. */
struct sampler {
    size_t wanted, left;
};

static inline bool sampler_takes(struct sampler *s, struct random_state *random)
{
    bool takes = random_below(random, s->left) < s->wanted;
    s->left--;
    s->wanted -= takes;
    return takes;
}

/* `count` distinct members, in no particular order; all of them when there are not more. */
void member_table_sample(const struct member_table *t, size_t count, struct random_state *random,
                         void (*visit)(void *arg, struct member *m), void *arg);
/* The same of those alone that `takes` says yes to, drawn one by one: there are several times as many of them. */
void member_table_draw(const struct member_table *t, size_t count, struct random_state *random,
                       bool (*takes)(const void *arg, const struct member *m),
                       void (*visit)(void *arg, struct member *m), void *arg);

#endif
