/* A replica of ours, as a state machine: events and the time go in, actions come out. Server process of the master;
 * pure: it owns no socket, no slot and no snapshot, and reads no clock. master_followers.c is its driver.
 *
 *   COMING -> QUEUED -> WAITING -> SNAPSHOT -> UNPROVEN -> ONLINE        a full synchronisation
 *   COMING -> ONLINE                                                     a continued history
 *   COMING -> REJECTED -> GONE                                           dropped before its descriptor has come
 *   any other -> DROPPED -> GONE                                         dropped; the link is asked to let go of it
 *
 * From WAITING on the link process has its socket, and tells what becomes of it; what the link notes in the follower's
 * slot in shared memory is read as events here. INFO and ROLE read the rows of the states. */
#ifndef SLIPSTREAM_REPL_FOLLOWER_MACHINE_H
#define SLIPSTREAM_REPL_FOLLOWER_MACHINE_H

#include "shm/layout.h"

#include <stdbool.h>
#include <stdint.h>

enum follower_state {
    FOLLOWER_COMING,   /* accepted; its descriptor is still flushing our earlier replies */
    FOLLOWER_QUEUED,   /* we hold its descriptor until a snapshot starts that it can have */
    FOLLOWER_WAITING,  /* the link has it; its snapshot has not begun to leave */
    FOLLOWER_SNAPSHOT, /* the snapshot is under way, or being loaded */
    FOLLOWER_UNPROVEN, /* the stream follows; that it has taken over the snapshot it has not said yet */
    FOLLOWER_ONLINE,
    FOLLOWER_REJECTED, /* dropped; its descriptor is still to come */
    FOLLOWER_DROPPED,  /* dropped; the link has not let go of it yet */
    FOLLOWER_GONE,     /* to be freed before the loop sleeps */
    FOLLOWER_STATES
};

/* What there is to know of a state. */
struct follower_row {
    const char *name;
    const char *info_word; /* INFO's state=; NULL: it is leaving, and shown as it was before */
    bool online;           /* ROLE lists it; its acknowledgements count */
    bool linked;           /* the link process has its socket */
    bool beats;            /* hears newlines from us */
    unsigned times_out;    /* bits of enum shm_peer_debt: for which it may take no longer than its time */
    unsigned successors;   /* bits of enum follower_state */
};

enum follower_wish {
    FOLLOWER_CONTINUES, /* the stream alone */
    FOLLOWER_FULL,      /* a snapshot, and the stream behind it */
    FOLLOWER_COPIES     /* a snapshot and nothing else: a backup */
};

struct follower_machine_settings {
    int64_t beat_ms;
    int64_t timeout_ms;        /* so long it may owe the same without a sign that it moves; 0: for ever */
    uint64_t soft_limit_bytes; /* so far behind, and for so long: it is dropped; 0: no limit */
    int64_t soft_limit_ms;
};

enum follower_event_kind {
    FOLLOWER_EVENT_ARRIVED,      /* its descriptor is here; `ready`: so is its snapshot */
    FOLLOWER_EVENT_LEFT,         /* its connection died before its descriptor was here */
    FOLLOWER_EVENT_SERVED,       /* it stood in the queue, and has a snapshot now */
    FOLLOWER_EVENT_NOT_TAKEN,    /* the link could not take it; `text` says why */
    FOLLOWER_EVENT_BEGUN,        /* the slot says: bytes of the snapshot leave */
    FOLLOWER_EVENT_STREAMS,      /* the link says: the stream follows */
    FOLLOWER_EVENT_ACKNOWLEDGED, /* the slot says: it has acknowledged something */
    FOLLOWER_EVENT_UNWANTED,     /* we drop it; `text` says why */
    FOLLOWER_EVENT_DOOMED,       /* the backlog drops it: `lag_bytes` behind, past `limit_bytes`; 0: no memory */
    FOLLOWER_EVENT_LET_GO,       /* the link has let go of its socket; `text` says why */
    FOLLOWER_EVENT_LINK_DIED,
    FOLLOWER_EVENT_TICK /* some times a second; if it is linked, with `lag_bytes`, and `slot` as the link notes it */
};

struct follower_event {
    enum follower_event_kind kind;
    bool ready;
    const char *text;
    uint64_t lag_bytes, limit_bytes;
    struct follower_slot {
        enum shm_peer_debt owes;
        uint64_t sent_bytes, received_bytes;
    } slot;
};

enum follower_action_kind {
    FOLLOWER_ACTION_GIVE,    /* its socket to the link; answer, only if that fails: NOT_TAKEN */
    FOLLOWER_ACTION_BEAT,    /* a newline: its snapshot comes later */
    FOLLOWER_ACTION_DETACH,  /* it needs its snapshot no more */
    FOLLOWER_ACTION_DOOM,    /* its slot: the link is to let go; answer: LET_GO */
    FOLLOWER_ACTION_RELEASE, /* slot, descriptor and snapshot: nobody uses them any more */
    FOLLOWER_ACTION_REFUSED, /* it went away from a snapshot without taking it over: to be counted and told */
    FOLLOWER_ACTION_PROVEN,  /* it has taken over its snapshot: what was counted is forgotten */
    FOLLOWER_ACTION_LIMITED, /* to be counted: it was too far behind */
    FOLLOWER_ACTION_NOTE,    /* for the log */
    FOLLOWER_ACTION_WARN
};

struct follower_action {
    enum follower_action_kind kind;
    char text[384];
};

#define FOLLOWER_ACTIONS_MAX 4

struct follower_actions {
    int count;
    struct follower_action list[FOLLOWER_ACTIONS_MAX];
};

struct follower_machine {
    const struct follower_machine_settings *settings;
    const char *name; /* "ip:port", the owner's */
    enum follower_state state;
    enum follower_wish wish;
    bool by_mark;              /* its snapshot ends with a mark: the link's word that the stream follows is proof */
    int64_t since_ms;          /* entered the state */
    int64_t online_ms;         /* the stream follows since */
    int64_t beat_ms;           /* the last newline */
    int64_t over_ms;           /* past the soft limit since; 0: it is not */
    struct follower_slot slot; /* as last seen */
    int64_t moved_ms;          /* it moved last, in what it owes */
    enum follower_state left;  /* leaving: the state that it was dropped in */
    char reason[128];          /* why it is dropped; "" while it is not */
};

/* now_ms: monotonic. name stays the caller's. */
void follower_machine_init(struct follower_machine *m, const struct follower_machine_settings *settings,
                           const char *name, int64_t now_ms);
/* `out` is filled from scratch; the caller carries the actions out in order. An event that the current state does not
 * expect (a late answer) is ignored. */
void follower_machine_step(struct follower_machine *m, const struct follower_event *event, int64_t now_ms,
                           struct follower_actions *out);

const struct follower_row *follower_row(enum follower_state state);
/* As INFO and ROLE show it: who is dropped is there until somebody has let go of it. NULL: it is gone. */
const struct follower_row *follower_shown(const struct follower_machine *m);
bool follower_transition_legal(enum follower_state from, enum follower_state to);

#endif
