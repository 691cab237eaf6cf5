/* When do two replies to the same command agree? */
#ifndef DIFFERENTIAL_COMPARE_H
#define DIFFERENTIAL_COMPARE_H

#include "tests/differential/reply.h"

enum mode {
    MODE_EXACT,
    MODE_UNORDERED,       /* the outermost parts in any order; a map's pairs stay together */
    MODE_UNORDERED_PAIRS, /* the same, and a flat array is one of pairs */
    MODE_SCAN,            /* cursor, and parts in any order */
    MODE_SCAN_PAIRS,
    MODE_SHAPE, /* types, and numbers of parts */
    MODE_ANY,   /* error or not */
    MODE_NEAR,  /* what tells a time may differ a little */
};

/* "unordered", "unordered2", ...; "" for MODE_EXACT. */
const char *mode_name(enum mode mode);
bool mode_named(const char *name, size_t len, enum mode *out);

/* The tolerance is MODE_NEAR's, in the unit of the numbers. Which numbers tell a time: the reply as a whole, the first
 * of several behind a stream's id, and the value of a field named idle, inactive, seen-time or active-time;
 * negative ones mean something else, and are exact. Parts may be
 * put in another order in place. */
bool replies_agree(enum mode mode, struct reply *a, struct reply *b, long long tolerance);

#endif
