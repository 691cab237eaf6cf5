/* When an fsync begins, with appendfsync always: whose answers wait for it. Server process; pure.
 *
 * While an fsync lasts, others write, and theirs could begin at once behind it. Where the same clients speak again as
 * soon as they are answered, that makes two groups of them, each of which waits for the other's fsync as well as its
 * own. So a group that has been answered is waited for, and all share the next fsync: for half as long as an fsync
 * lasts at most, and only where those of the group before did come back within that time. A client that is alone, that
 * thinks before it speaks, or a disk as fast as memory: nobody is waited for. */
#ifndef SLIPSTREAM_CORE_DATASET_GROUP_COMMIT_H
#define SLIPSTREAM_CORE_DATASET_GROUP_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

struct group_commit {
    enum { GROUP_FREE, GROUP_SYNCING, GROUP_GATHERING } state; /* set by enter() alone */
    int64_t started_us;  /* of the fsync under way; 0: none that anybody waits for */
    int64_t sync_us;     /* how long they take, smoothed; 0: not known */
    int64_t answered_us; /* the last group */
    unsigned answered;   /* of the last group: connections */
    unsigned returned;   /* of these: have spoken again within half of sync_us */
    /* The last group of more than one: how many it was, and how many of it came back. */
    unsigned known, known_returned;
};

enum group_action {
    GROUP_GOES, /* the journal goes by what is published, at once */
    GROUP_CALL, /* it is called now; what is published from then on waits */
    GROUP_WAITS /* for that call */
};

/* A turn has ended: so many connections wait, of which `returned` had been answered last. */
enum group_action group_commit_turn(struct group_commit *g, int64_t now_us, unsigned waiting, unsigned returned);
/* An fsync is through, and so many have been answered: none, where those it was for have gone. all: everything is
 * durable that had been published when the journal was called last; else that fsync was under way then, and another one
 * begins. */
enum group_action group_commit_answered(struct group_commit *g, int64_t now_us, unsigned answered, unsigned waiting,
                                        bool all);
/* While GROUP_WAITS: when to look again though nobody speaks; 0: never. */
int64_t group_commit_deadline_us(const struct group_commit *g);
void group_commit_reset(struct group_commit *g); /* nothing is held any more; what has been measured stays */

#endif
