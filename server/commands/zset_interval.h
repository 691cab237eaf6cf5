/* Ranges of sorted sets as commands name them, by rank, by score or by bytes, turned into intervals of ranks. */
#ifndef SLIPSTREAM_COMMANDS_ZSET_INTERVAL_H
#define SLIPSTREAM_COMMANDS_ZSET_INTERVAL_H

#include "server/core/run/call.h"
#include "server/data/zset.h"

enum zset_range_kind { RANGE_BY_RANK, RANGE_BY_SCORE, RANGE_BY_LEX };

/* One end of a range. */
struct zset_end {
    enum { END_AT_BOUND, END_BEFORE_ALL, END_AFTER_ALL } where;
    struct skiplist_bound bound;
};

struct zset_range {
    enum zset_range_kind kind;
    int64_t start, stop;       /* by rank; negative: from the end */
    struct zset_end low, high; /* else */
};

/* Reads the arguments of the low and the high end. False: answered. */
bool zset_range_read(struct call *call, enum zset_range_kind kind, uint32_t low_arg, uint32_t high_arg,
                     struct zset_range *out);

struct zset_interval {
    size_t first, count; /* ascending ranks; count 0: nothing */
};

/* reverse: ranks count from the highest; scores and bytes know no direction. */
struct zset_interval zset_range_resolve(const struct zset_range *range, const struct zset *z, bool reverse);

#endif
