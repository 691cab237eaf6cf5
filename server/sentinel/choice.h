/* Which replica is to be promoted. Sentinel process; pure.
 *
 * As documented ("Replica selection and priority"): left aside is who is down, disconnected, silent, of priority 0 or
 * was without its master for too long; of the others the lowest priority wins, then the largest offset, then the
 * smallest run id. One that loads its dataset has none to offer, and is left aside as well. So is, for as long as
 * another loads, one that has nothing: where all were started anew it is ready first, and the others would lose to it
 * what they are about to have. So is one that already follows a master that came back with less: it has no more than
 * that one, however large an offset their new history gives it. One that says it is a master itself, as a former one
 * does that has come back, stands behind all that follow: its offset counts another history.
 *
 * The same goes for one that has another history than the last master had since it was promoted: the one which that
 * went on from, of which it may have more than that took over, or one of before. Where another has followed that
 * master, it stands behind. Redis's Sentinels compare the offsets. That is the business of who leads the fail-over:
 * they agree with us on whom we promote, and we with them. */
#ifndef SLIPSTREAM_SENTINEL_CHOICE_H
#define SLIPSTREAM_SENTINEL_CHOICE_H

#include "server/sentinel/hello.h"

struct candidate {
    const char *host;
    int port;
    const char *run_id; /* "": not known yet, which ranks last */
    bool down, linked, loading;
    bool stranger;               /* another server at a reused address */
    bool is_master;              /* it follows nobody, nor does the last master follow it */
    bool has_no_more;            /* than its master, which is to be replaced for having less than others */
    bool followed;               /* it has the last master's history */
    bool left_behind;            /* ... one that this master has left, or has never had */
    int64_t answered_ago_ms;     /* its last valid answer to PING */
    int64_t info_ago_ms;         /* its last INFO; -1: none yet */
    int64_t master_link_down_ms; /* how long it was without its master; below 0: it never had him */
    int64_t priority;
    uint64_t offset;
};

struct choice_limits {
    int64_t answer_ms;      /* an answer to PING may be so old */
    int64_t info_ms;        /* so old an INFO */
    int64_t master_link_ms; /* so long without its master */
};

#define CHOICE_TEXT_MAX 1024

/* The index of the best, or -1. `explained`: one line about all of them, with the numbers that decided; where there are
 * too many, the last ones are left out. */
int choice_make(const struct candidate *candidates, int count, const struct choice_limits *limits,
                char explained[CHOICE_TEXT_MAX]);

/* Why it may not be promoted; NULL: it may. */
const char *choice_obstacle(const struct candidate *candidate, const struct choice_limits *limits);
#endif
