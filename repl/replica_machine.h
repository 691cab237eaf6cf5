/* Following a master, as a state machine: events and the time go in, actions come out. Server process; pure: it owns no
 * socket and reads no clock, so that a seeded simulator can run thousands of them. replica.c is its driver.
 *
 *   NONE -> RESOLVING -> CONNECTING -> HANDSHAKE -> TRANSFER -> LOADING -> CONNECTED
 *              ^                           `------ +CONTINUE ---------------^
 *              `-- WAITING <- any failure of these
 *
 * After a failure the next attempt comes at once, then after 10 ms, doubling to one second, jittered; a link that has
 * held for a second starts this series anew. A master that does not let us in is asked once a second. A snapshot that
 * we had to refuse is asked for again after a second, then two, up to sixteen: each costs the master a fork. A stream
 * that we had to refuse costs that, and the whole dataset on its way, and may be good for hours before it says again
 * what we cannot apply: one second, then two, up to five minutes, whatever the links in between were like, until one
 * has gone well for ten minutes. */
#ifndef SLIPSTREAM_REPL_REPLICA_MACHINE_H
#define SLIPSTREAM_REPL_REPLICA_MACHINE_H

#include "repl/history.h"
#include "server/base/bytes.h"
#include "server/base/random.h"

enum replica_state {
    REPLICA_NONE, /* no master */
    REPLICA_WAITING,
    REPLICA_RESOLVING,
    REPLICA_CONNECTING,
    REPLICA_HANDSHAKE,
    REPLICA_TRANSFER,
    REPLICA_LOADING,
    REPLICA_CONNECTED,
    REPLICA_STATES
};

/* The replies a handshake waits for, in the order of the requests. */
enum handshake_step {
    STEP_AUTH,
    STEP_PING,
    STEP_PORT,
    STEP_ADDRESS,
    STEP_CAPA,
    STEP_VERSION,
    STEP_PSYNC, /* not sent before the others are answered: Redis refuses PSYNC while replies are owed */
};

struct replica_machine_settings {
    int64_t timeout_ms;     /* nothing heard for so long: the link is dead */
    bool auth, announce_ip; /* the handshake has these steps */
};

enum replica_event_kind {
    EVENT_FOLLOW, /* a (new) master; `failover`: it is to be told to take over */
    EVENT_STOP,   /* no master any more */
    EVENT_RESOLVED,
    EVENT_CONNECTED,
    EVENT_LINE,        /* one reply of the handshake, without line end */
    EVENT_HEARD,       /* bytes arrived */
    EVENT_TRANSFERRED, /* the snapshot is here, whole and checked */
    EVENT_LOADED,      /* ... and is our dataset now */
    EVENT_FAILED, /* whatever the current state is about did not work, or the connection is gone; `text` says why */
    EVENT_TICK    /* the deadline has come */
};

struct replica_event {
    enum replica_event_kind kind;
    bool failover;     /* EVENT_FOLLOW */
    struct bytes line; /* EVENT_LINE */
    const char *text;  /* EVENT_FAILED */
    bool refused;      /* EVENT_FAILED: a snapshot came and is no good to us; the next will hardly be better */
    bool unfollowable; /* EVENT_FAILED: the stream has something that may not be passed over */
};

enum replica_action_kind {
    ACTION_NONE,
    ACTION_RESOLVE,  /* answer: RESOLVED or FAILED */
    ACTION_CONNECT,  /* answer: CONNECTED or FAILED */
    ACTION_GREET,    /* send AUTH, PING and REPLCONF; answers: LINE for each */
    ACTION_PSYNC,    /* send PSYNC; answer: LINE */
    ACTION_SYNC,     /* send SYNC; TRANSFER follows */
    ACTION_CONTINUE, /* partial resync; `id`: the master's new id, "" when it is the one we asked with */
    ACTION_TRANSFER, /* full resync at `id`, `offset` ("" after SYNC: unknown): receive; answer: TRANSFERRED */
    ACTION_LOAD,     /* answer: LOADED */
    ACTION_STREAM,   /* dataset and history are the master's: apply what follows, acknowledge at once */
    ACTION_ACK,
    ACTION_KEEP_ALIVE, /* a newline: we are alive, though busy */
    ACTION_CLOSE,      /* drop the connection and everything half done; `text` says why, "" when we wanted it */
    ACTION_NOTE,       /* for the log */
    ACTION_WARN,
    ACTION_FAILOVER_END /* the failover's target has taken over (`good`) or refused; always the last action */
};

struct replica_action {
    enum replica_action_kind kind;
    bool good;
    char id[HISTORY_ID_TEXT];
    uint64_t offset, reach; /* TRANSFER: of the snapshot, and of the stream when we asked; the second is no lower */
    char text[256];
};

#define REPLICA_ACTIONS_MAX 6

struct replica_actions {
    int count;
    struct replica_action list[REPLICA_ACTIONS_MAX];
};

struct replica_machine {
    const struct replica_machine_settings *settings;
    enum replica_state state;
    enum handshake_step step; /* HANDSHAKE: the reply that comes next */
    bool failover;
    unsigned failures;    /* since the last link was up */
    unsigned short_links; /* links in a row that broke soon after they were up */
    unsigned refusals;    /* snapshots in a row that were no good */
    unsigned unfollowed;  /* streams that were refused, with little time in between */
    int64_t forgive_ms;   /* ... from when on the next one is the first again */
    int64_t since_ms;     /* entered the state */
    int64_t heard_ms;     /* last sign of life */
    int64_t beat_ms;      /* next ACK or newline */
    int64_t retry_ms;     /* WAITING: until then */
    int64_t down_ms;      /* since when there is no good link */
    int64_t told_ms;      /* the last attempt that was not quiet */
    bool quiet;           /* one of many attempts in a short time: not worth a line in the log */
    struct random_state random;
};

void replica_machine_init(struct replica_machine *m, const struct replica_machine_settings *settings, uint64_t seed);
/* now_ms: monotonic. `out` is filled from scratch; the caller carries the actions out in order. An event that the
 * current state does not expect (a late answer) is ignored. */
void replica_machine_step(struct replica_machine *m, const struct replica_event *event, int64_t now_ms,
                          struct replica_actions *out);
/* When EVENT_TICK is due; INT64_MAX: never. May lie in the past. */
int64_t replica_machine_deadline_ms(const struct replica_machine *m);

/* What there is to know of a state. */
struct replica_row {
    const char *name;
    const char *role_word; /* ROLE's */
    bool connection;       /* there is one, or it is being made: ACTION_CLOSE ends it, EVENT_FAILED is about it */
    enum replica_action_kind beat; /* once a second; ACTION_NONE: nothing */
    const char *timeout;           /* what is said when it ends; NULL: it never does */
    unsigned successors;           /* bits of enum replica_state */
    int64_t patience_most_ms;      /* for silence; 0: as long as the settings say */
};

const struct replica_row *replica_row(enum replica_state state);
bool replica_transition_legal(enum replica_state from, enum replica_state to);
const char *replica_state_name(enum replica_state state);

#endif
