/* A session: what the server remembers of a caller between commands. A client has one; so have the master's stream, a
 * script and a loading AOF, without a socket behind them.
 *
 * Owned by core/client.c for clients; embedded elsewhere. Parts that need per-session state of their own put a pointer
 * or a list head here and own what is behind it. */
#ifndef SLIPSTREAM_CORE_SESSION_H
#define SLIPSTREAM_CORE_SESSION_H

#include "server/base/map.h"
#include "server/keyspace/keyspace.h"
#include "server/resp/writer.h"

struct client;
struct transaction;
struct blocked;
struct subscriptions;
struct core;
struct command_entry;

enum session_kind { SESSION_CLIENT, SESSION_MASTER, SESSION_SCRIPT, SESSION_LOADER };

/* What every request looks at stands first and close together: with many clients, each request begins with lines that
 * the others have driven out of the cache. */
struct session {
    enum session_kind kind;
    bool authenticated;
    bool reply_off, reply_skip_next, reply_skip; /* CLIENT REPLY */
    bool no_evict, no_touch;
    bool readonly;           /* CLUSTER READONLY, kept for its flag */
    bool in_exec;            /* EXEC runs its list: nothing may block */
    bool stream_broken;      /* of our master: nothing of it may be applied any more */
    uint32_t errors_counted; /* of reply.errors: EXEC must not count its commands' errors again */
    struct client *client;   /* NULL unless kind is SESSION_CLIENT */
    struct database *db;
    struct transaction *transaction;       /* inside MULTI, else NULL; core/transaction.c */
    struct blocked *blocked;               /* waiting (WAIT, BLPOP, pause), else NULL; core/blocking.c */
    struct subscriptions *subscriptions;   /* NULL: none; core/pubsub.c */
    struct command_entry *running_command; /* the last one that ran: CLIENT LIST's cmd */
    struct command_entry *last_command;    /* dispatch's guess for the next request */
    uint64_t written_offset;               /* in the stream, behind this session's last write: what WAIT waits for */
    struct reply reply;                    /* the sink of this session's answers */

    uint64_t id;
    struct bytes name;              /* CLIENT SETNAME; owned (mem), ptr NULL: none */
    struct bytes lib_name, lib_ver; /* CLIENT SETINFO; owned */
    struct bytes user;              /* "default" */
    struct map watched;             /* struct watched_key, by database and key; core/transaction.c */
    bool watch_broken;              /* a watched key was touched: EXEC answers null */
};

void session_init(struct session *s, struct core *core, enum session_kind kind, struct outq *out);
uint64_t session_next_id(void);                             /* never given twice */
void session_release(struct core *core, struct session *s); /* leaves MULTI, WATCH, channels; frees what it owns */
void session_reset(struct core *core, struct session *s);   /* RESET */

/* CLIENT REPLY: until told otherwise, or (skip) for the next command's answer, which may be long in coming. */
void session_want_replies(struct session *s, bool wanted);
void session_skip_reply(struct session *s);
void session_command_done(struct session *s); /* with its answer, if it has one: after each command */

#endif
