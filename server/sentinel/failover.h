/* One fail-over, as a state machine: events and the time go in, what is to be done comes out. Sentinel process; pure.
 * watched_failover.c is its driver.
 *
 *   NONE -> WAIT_START -> SELECT -> SEND -> WAIT_PROMOTION -> RECONFIGURE -> UPDATE -> NONE
 *           election      choice    SLAVEOF NO ONE            the others     the new master is the master
 *
 * Until the promoted one says that it is a master nothing has changed for anybody, and a time-out gives up. From then
 * on there is no way back: the rest of the replicas is told sooner or later. One that dies before it has said so is not
 * waited for, another is chosen. A hand-over (SENTINEL FAILOVER, while the master lives) goes the same way, but the
 * master itself is asked to hand over by FAILOVER, which loses no write; where it refuses, or gives up, a replica is
 * chosen anew for SLAVEOF NO ONE.
 *
 * Names and time-outs are those of Redis's documentation of failover-timeout. */
#ifndef SLIPSTREAM_SENTINEL_FAILOVER_H
#define SLIPSTREAM_SENTINEL_FAILOVER_H

#include <stdbool.h>
#include <stdint.h>

enum failover_state {
    FAILOVER_NONE,
    FAILOVER_WAIT_START,
    FAILOVER_SELECT,
    FAILOVER_SEND,
    FAILOVER_WAIT_PROMOTION,
    FAILOVER_RECONFIGURE,
    FAILOVER_UPDATE,
    FAILOVER_STATES
};

struct failover_settings {
    int64_t timeout_ms;
    int64_t election_ms; /* the longest election; timeout_ms if that is shorter */
    int64_t retry_ms;    /* after an election that nobody could win any more; the caller draws it by chance */
};

enum failover_event_kind {
    FAILOVER_EVENT_START,   /* with `epoch`; `forced`: no election; `hand_over`: the master lives and may be asked */
    FAILOVER_EVENT_ELECTED, /* we lead */
    FAILOVER_EVENT_NOT_ELECTED,  /* another leads */
    FAILOVER_EVENT_SPLIT,        /* nobody can lead any more in this epoch */
    FAILOVER_EVENT_CHOSEN,       /* there is a replica to promote */
    FAILOVER_EVENT_NONE_GOOD,    /* there is none */
    FAILOVER_EVENT_SENT,         /* the order has left */
    FAILOVER_EVENT_REFUSED,      /* whoever got the order refuses it */
    FAILOVER_EVENT_LOST,         /* the chosen one is down, or came back as a replica: another is chosen */
    FAILOVER_EVENT_PROMOTED,     /* the chosen one says that it is a master */
    FAILOVER_EVENT_RECONFIGURED, /* no replica is left to be told */
    FAILOVER_EVENT_UPDATED,      /* the new master is the master */
    FAILOVER_EVENT_ABORT,        /* the master is removed, reset, or another configuration has come */
    FAILOVER_EVENT_TICK
};

struct failover_event {
    enum failover_event_kind kind;
    uint64_t epoch;
    bool forced, hand_over;
};

enum failover_action_kind {
    FAILOVER_ACTION_SAY,       /* event `text`, of the master, or of the chosen one */
    FAILOVER_ACTION_CHOOSE,    /* answer: CHOSEN or NONE_GOOD */
    FAILOVER_ACTION_PROMOTE,   /* SLAVEOF NO ONE to the chosen one, when it can be reached; answer: SENT */
    FAILOVER_ACTION_HAND_OVER, /* FAILOVER to the master; answer: SENT */
    FAILOVER_ACTION_PROMOTED,  /* its configuration is the one to spread from here on */
    FAILOVER_ACTION_TELL_ALL,  /* every replica that was not told yet, whatever parallel-syncs says */
    FAILOVER_ACTION_UPDATE,    /* the chosen one becomes the master; answer: UPDATED */
    FAILOVER_ACTION_RELEASE    /* it is over without that: nobody is chosen any more */
};

struct failover_action {
    enum failover_action_kind kind;
    bool of_chosen;
    const char *text; /* a constant */
};

#define FAILOVER_ACTIONS_MAX 4

struct failover_actions {
    int count;
    struct failover_action list[FAILOVER_ACTIONS_MAX];
};

struct failover {
    enum failover_state state;
    uint64_t epoch;
    bool forced;
    bool hands_over;    /* the master is asked, and has not refused */
    bool failed;        /* the last one was given up; next_ms says when another may begin */
    bool lacks_replica; /* ... for want of a good replica: another may begin as soon as there is one */
    int64_t since_ms;   /* entered the state */
    int64_t started_ms; /* the last one began; 0: there was none */
    int64_t next_ms;    /* none begins by itself before */
};

void failover_init(struct failover *f);
/* `out` is filled from scratch; the caller carries the actions out in order. An event that the current state does not
 * expect is ignored. */
void failover_step(struct failover *f, const struct failover_settings *settings, const struct failover_event *event,
                   int64_t now_ms, struct failover_actions *out);
/* The master is another one: what was tried for the former does not delay a fail-over of this one. */
void failover_start_afresh(struct failover *f);
/* Another is at it since now_ms, with our vote: none of ours begins before it had its time. */
void failover_leave_to_another(struct failover *f, const struct failover_settings *settings, int64_t now_ms);

const char *failover_name(enum failover_state state); /* as SENTINEL MASTER says it: "wait_start" */

/* --- a replica on its way to the new master --- */

enum reconfiguration {
    RECONFIGURATION_NONE,
    RECONFIGURATION_SENT,       /* SLAVEOF has left */
    RECONFIGURATION_INPROGRESS, /* it follows the new master, and has no link to it yet */
    RECONFIGURATION_DONE,
    RECONFIGURATION_STATES
};

bool reconfiguration_legal(enum reconfiguration from, enum reconfiguration to);
/* The next state, from what the replica says of itself; `state` itself where nothing changes. patience_ms: so long
 * SLAVEOF may be without effect before it is sent again. */
enum reconfiguration reconfiguration_next(enum reconfiguration state, bool follows_new_master, bool link_up,
                                          int64_t patience_ms, int64_t in_state_ms);

#endif
