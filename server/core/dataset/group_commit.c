/* See group_commit.h. Server process. */
#include "server/core/dataset/group_commit.h"

#define LEAST_SYNC_US 100 /* to call the journal anew costs some tens; a faster disk is not worth it */
#define SMOOTHING     8   /* a new duration counts one in so many */
#define FEWEST        2   /* a client that is alone is waited for by nobody */
/* Of those answered, so many must have come back; the slowest of those expected are not waited for. */
#define MOST_OF(n) ((n) - (n) / 4)
#define NEARLY(n)  ((n) - (n) / 32)

static enum group_action enter(struct group_commit *g, unsigned state)
{
    g->state = state;
    return state == GROUP_FREE ? GROUP_GOES : state == GROUP_SYNCING ? GROUP_CALL : GROUP_WAITS;
}

static bool is_worth_it(const struct group_commit *g)
{
    return g->sync_us >= LEAST_SYNC_US && g->known && g->known_returned >= MOST_OF(g->known);
}

static enum group_action start(struct group_commit *g, int64_t now_us)
{
    g->started_us = now_us;
    return enter(g, is_worth_it(g) ? GROUP_SYNCING : GROUP_FREE);
}

/* To wait for longer would cost more than it brings: two groups by turns do as well then. */
static int64_t patience_us(const struct group_commit *g)
{
    return g->sync_us / 2;
}

int64_t group_commit_deadline_us(const struct group_commit *g)
{
    return g->state == GROUP_GATHERING ? g->answered_us + patience_us(g) : 0;
}

static bool have_come(const struct group_commit *g, int64_t now_us)
{
    uint64_t expected = (uint64_t)g->answered * g->known_returned / g->known;
    return now_us >= group_commit_deadline_us(g) || g->returned >= NEARLY(expected);
}

enum group_action group_commit_turn(struct group_commit *g, int64_t now_us, unsigned waiting, unsigned returned)
{
    if (now_us < g->answered_us + patience_us(g)) g->returned = returned;
    switch (g->state) {
    case GROUP_SYNCING:
        if (waiting == 0) return enter(g, GROUP_FREE); /* they have all gone */
        return GROUP_WAITS;
    case GROUP_GATHERING:
        if (!have_come(g, now_us)) return GROUP_WAITS;
        return waiting ? start(g, now_us) : enter(g, GROUP_FREE);
    case GROUP_FREE:
        if (waiting == 0)
            g->started_us = 0;
        else if (g->started_us == 0)
            return start(g, now_us);
        break;
    }
    return GROUP_GOES;
}

static void note_duration(struct group_commit *g, int64_t now_us)
{
    int64_t took_us = now_us - g->started_us;
    if (g->started_us == 0) return;
    g->sync_us = g->sync_us ? g->sync_us + (took_us - g->sync_us) / SMOOTHING : took_us;
    g->started_us = 0;
}

static void note_returned(struct group_commit *g)
{
    if (g->answered < FEWEST) return; /* says nothing of the others */
    g->known = g->answered;
    g->known_returned = g->returned;
}

enum group_action group_commit_answered(struct group_commit *g, int64_t now_us, unsigned answered, unsigned waiting,
                                        bool all)
{
    bool begins = g->state == GROUP_SYNCING && !all;
    note_duration(g, now_us);
    note_returned(g);
    g->answered_us = now_us;
    g->answered = answered;
    g->returned = 0;
    if (begins) {
        g->started_us = now_us;
        return GROUP_WAITS;
    }
    /* Where the journal was free it has begun again by itself. */
    if (g->state == GROUP_SYNCING && answered && is_worth_it(g)) return enter(g, GROUP_GATHERING);
    return waiting ? start(g, now_us) : enter(g, GROUP_FREE);
}

void group_commit_reset(struct group_commit *g)
{
    g->started_us = 0;
    enter(g, GROUP_FREE);
}
