/* A session: what the server remembers of a caller between commands. A client has one; so have the master's stream, a
 * script and a loading AOF, without a socket behind them. Server process.
 *
 * It is embedded in whoever owns it: struct client (core/clients/clients.h), struct master_stream. What runs commands
 * knows sessions alone, and asks their owner through struct session_owner. Parts that need per-session state of their
 * own put a pointer or a list node here and own what is behind it. */
#ifndef SLIPSTREAM_CORE_SESSION_SESSION_H
#define SLIPSTREAM_CORE_SESSION_SESSION_H

#include "server/base/list.h"
#include "server/base/map.h"
#include "server/keyspace/keyspace.h"
#include "server/resp/writer.h"

struct client;
struct session;
struct stats;
struct user;
struct transaction;
struct blocked;
struct subscriptions;
struct core;
struct command_entry;
struct tracker;
struct held_pushes;

enum session_kind { SESSION_CLIENT, SESSION_MASTER, SESSION_SCRIPT, SESSION_LOADER };

enum session_after_run {
    AFTER_RUN_PUSHES = 1, /* what was pushed to it meanwhile goes out behind its reply; core/session/push.h */
    AFTER_RUN_KEYS = 2,   /* the keys that it reads are remembered */
};

/* CLIENT TRACKING */
enum session_tracking {
    TRACKING_ON = 1,
    TRACKING_BCAST = 2,
    TRACKING_OPTIN = 4,
    TRACKING_OPTOUT = 8,
    TRACKING_NOLOOP = 16,
    TRACKING_BROKEN_REDIRECT = 32, /* whoever should hear of its keys is gone */
};

#define SESSION_ADDRESS_MAX 320 /* a host name or a path, and a port */

/* What a session asks of whoever owns it. */
struct session_owner {
    void (*wake)(struct session *s);  /* written to from outside its own command, or free to go on */
    void (*close)(struct session *s); /* safe anywhere; frees after its own command ends */
    void (*close_after_reply)(struct session *s);
    bool (*is_closing)(const struct session *s); /* what a command takes for it now would be lost */
    bool (*is_local)(const struct session *s);   /* it speaks to us from this very machine */
    bool (*is_replica)(const struct session *s);
    void (*address)(const struct session *s, char out[SESSION_ADDRESS_MAX]); /* as MONITOR shows it */
    void (*describe)(const struct session *s, struct outq *out);             /* CLIENT LIST's line */
};

/* What every request looks at stands first and close together: with many clients, each request begins with lines that
 * the others have driven out of the cache. */
struct session {
    enum session_kind kind;
    bool reply_off, reply_skip_next, reply_skip; /* CLIENT REPLY */
    bool no_evict, no_touch;
    bool readonly;           /* CLUSTER READONLY, kept for its flag */
    bool in_exec;            /* EXEC runs its list: nothing may block */
    bool adopted;            /* never logged in: the default user only for as long as he needs no password */
    bool stream_broken;      /* of our master: nothing of it may be applied any more */
    bool caching_said;       /* CLIENT CACHING: of the next command's keys */
    bool caching_kept;       /* ... and this one does not use it up */
    uint8_t depth;           /* commands of it that run, one inside the other: EXEC and one of its queue */
    uint8_t after_run;       /* enum session_after_run: what its commands leave to be done behind them */
    uint8_t tracking;        /* enum session_tracking; 0: off; core/tracking/ */
    bool unpropagated;       /* a script has asked that what it does now stay here */
    uint32_t errors_counted; /* of reply.errors: EXEC must not count its commands' errors again */
    const struct user *user; /* NULL: it has not said who it is; a script's is its caller's. server/acl/user.h */
    struct database *db;
    struct transaction *transaction;       /* inside MULTI, else NULL; core/session/transaction.c */
    struct blocked *blocked;               /* waiting (WAIT, BLPOP, pause), else NULL; core/session/blocking.c */
    struct subscriptions *subscriptions;   /* NULL: none; core/session/pubsub.c */
    struct command_entry *running_command; /* the last one that ran: CLIENT LIST's cmd */
    struct command_entry *last_command;    /* dispatch's guess for the next request */
    struct reply reply;                    /* the sink of this session's answers */

    struct client *client;             /* NULL unless kind is SESSION_CLIENT */
    const struct session_owner *owner; /* NULL: nobody hears its answers, nor could it wait for anything */
    uint64_t written_offset;           /* in the stream, behind this session's last write: what WAIT waits for */
    uint64_t id;
    struct bytes name;              /* CLIENT SETNAME; owned (mem), ptr NULL: none */
    struct bytes lib_name, lib_ver; /* CLIENT SETINFO; owned */
    struct map watched;             /* struct watched_key, by database and key; core/session/watch.c */
    bool watch_broken;              /* a watched key was touched: EXEC answers null */
    struct list_node monitoring;    /* in the list of monitors, when it is one */
    struct tracker *tracker;        /* NULL while tracking is off */
    struct held_pushes *held;       /* pushes that came while it ran a command, else NULL */
    struct session *caller;         /* of a script: whose request it is; else NULL */
    int64_t script_time_us;         /* what TIME has said to this run of a script; 0: nothing yet */
};

void session_init(struct session *s, struct core *core, enum session_kind kind, struct outq *out);
uint64_t session_next_id(void);               /* never given twice */
void session_forget_text(struct bytes *text); /* a name, a library's name or version */

/* CLIENT REPLY: until told otherwise, or (skip) for the next command's answer, which may be long in coming. */
void session_want_replies(struct session *s, bool wanted);
void session_skip_reply(struct session *s);
void session_command_done(struct session *s); /* with its answer, if it has one: after each command */
/* Counts the error that was answered last, unless it is counted: EXEC does not count its commands' errors again, and a
 * command that has waited counts its own where the wait ends. `command` has failed by it; NULL: none ran. */
void session_count_error(struct session *s, struct stats *stats, struct command_entry *command);

static inline bool session_owes_error_count(const struct session *s)
{
    return s->reply.errors != s->errors_counted;
}

/* A new beginning: answers are wanted; of RESET's own answer CLIENT REPLY SKIP still decides. */
void session_reset_replies(struct session *s);

/* A script's session speaks for its caller from now on, until it is given another one, or NULL. */
void session_speak_for(struct session *s, struct session *caller);

/* Whose doing a command is: a script is its caller's. */
static inline const struct session *session_speaker(const struct session *s)
{
    return s->caller ? s->caller : s;
}

/* What CLIENT LIST says; until it has logged in, everybody is the default user. */
struct bytes session_user_name(const struct session *s);

/* Our master's stream, and a file: what they say has happened already, and is refused for no state that we are in. */
static inline bool session_is_obeyed(const struct session *s)
{
    return s->kind == SESSION_MASTER || s->kind == SESSION_LOADER;
}

static inline void session_wake(struct session *s)
{
    if (s->owner) s->owner->wake(s);
}

#endif
