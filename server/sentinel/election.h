/* Who may carry out a fail-over: one vote for each Sentinel, master and epoch. Sentinel process; pure.
 *
 * A candidate takes a new epoch, votes for itself and asks the others. It is the leader of that epoch once it has the
 * votes of the majority of all Sentinels known for this master, and of no fewer than the quorum. A vote is given to who
 * asks first, and never twice in an epoch; it has to be on disk before it is told (Redis's documentation,
 * "Configuration epochs"). So two leaders of one epoch cannot be. */
#ifndef SLIPSTREAM_SENTINEL_ELECTION_H
#define SLIPSTREAM_SENTINEL_ELECTION_H

#include "server/sentinel/hello.h"

/* A vote as it was given, our own or another's. */
struct ballot {
    char leader[SENTINEL_RUN_ID + 1]; /* "": not known, or nobody */
    uint64_t epoch;                   /* of the last vote; 0: none yet */
};

/* What became of a request for our vote: bits. */
enum {
    VOTE_NEW_EPOCH = 1 << 0, /* *current_epoch has moved on */
    VOTE_GIVEN = 1 << 1      /* to the candidate: `own` has changed */
};

/* `candidate` asks for our vote in `epoch`. Whatever comes out, `own` is what the answer says. */
unsigned election_vote(struct ballot *own, uint64_t *current_epoch, uint64_t epoch, const char *candidate);

struct tally {
    int votes;                        /* of the one with the most */
    int needed;                       /* for the majority, and the quorum */
    int open;                         /* voters that have not voted in this epoch, as far as known */
    char leader[SENTINEL_RUN_ID + 1]; /* who has so many votes */
    bool elected;                     /* it has enough */
    bool split;                       /* nobody can have enough any more */
};

/* Counts the votes of `epoch`: those of the other Sentinels, and our own. `unreachable`: so many of those who have not
 * voted cannot be asked now, and are not waited for. */
void election_count(const struct ballot *own, const struct ballot *const *others, int count, int unreachable,
                    int quorum, uint64_t epoch, struct tally *out);

#endif
