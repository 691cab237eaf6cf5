/* Votes: given and counted. Sentinel process; pure. */
#include "server/sentinel/election.h"

unsigned election_vote(struct ballot *own, uint64_t *current_epoch, uint64_t epoch, const char *candidate)
{
    unsigned out = 0;
    if (epoch > *current_epoch) {
        *current_epoch = epoch;
        out |= VOTE_NEW_EPOCH;
    }
    if (epoch < *current_epoch || own->epoch >= epoch) return out;
    *own = (struct ballot){.epoch = epoch};
    memcpy(own->leader, candidate, SENTINEL_RUN_ID);
    return out | VOTE_GIVEN;
}

static bool is_vote(const struct ballot *b, uint64_t epoch)
{
    return b->epoch == epoch && *b->leader;
}

static int votes_for(const char *leader, const struct ballot *own, const struct ballot *const *others, int count,
                     uint64_t epoch)
{
    int votes = is_vote(own, epoch) && strcmp(own->leader, leader) == 0;
    for (int i = 0; i < count; i++) votes += is_vote(others[i], epoch) && strcmp(others[i]->leader, leader) == 0;
    return votes;
}

void election_count(const struct ballot *own, const struct ballot *const *others, int count, int unreachable,
                    int quorum, uint64_t epoch, struct tally *out)
{
    *out = (struct tally){.needed = (count + 1) / 2 + 1};
    if (out->needed < quorum) out->needed = quorum;
    for (int i = -1; i < count; i++) {
        const struct ballot *b = i < 0 ? own : others[i];
        if (!is_vote(b, epoch)) {
            out->open++;
            continue;
        }
        int votes = votes_for(b->leader, own, others, count, epoch);
        if (votes <= out->votes) continue;
        out->votes = votes;
        memcpy(out->leader, b->leader, sizeof out->leader);
    }
    out->elected = out->votes >= out->needed;
    int may_come = out->open > unreachable ? out->open - unreachable : 0;
    out->split = !out->elected && out->votes + may_come < out->needed;
}
