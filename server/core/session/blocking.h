/* Sessions that wait: WAIT, CLIENT PAUSE, BLPOP and its kind, SHUTDOWN, BGREWRITEAOF.
 *
 * A blocked session's further requests stay in its query buffer until it is unblocked. */
#ifndef SLIPSTREAM_CORE_SESSION_BLOCKING_H
#define SLIPSTREAM_CORE_SESSION_BLOCKING_H

#include "server/base/list.h"
#include "server/core/session/session.h"
#include "server/net/loop.h"

struct blocking;
struct stats;

enum blocked_kind { BLOCKED_WAIT, BLOCKED_PAUSE, BLOCKED_KEYS, BLOCKED_SHUTDOWN, BLOCKED_REWRITE, BLOCKED_KINDS };

struct blocked {
    enum blocked_kind kind;
    struct session *session;
    struct list_node node;
    struct blocking *blocking;
    struct loop_timer *timeout; /* NULL: none */
    /* One of these ends the wait; each writes the reply. NULL `error`: cannot be unblocked with an error. */
    void (*timed_out)(struct blocked *b);
    void (*interrupted)(struct blocked *b, const char *error); /* role change, CLIENT UNBLOCK ERROR */
    void (*released)(struct blocked *b);                       /* frees what hangs on it; always called, last */
    void *state;
    uint64_t ticks; /* its command has run for so far, and has been counted with */
};

struct blocking *blocking_new(struct loop *loop, struct stats *stats);
/* timeout_ms: from now; 0: for ever. */
struct blocked *blocking_start(struct blocking *b, struct session *s, enum blocked_kind kind, int64_t timeout_ms);
/* After its reply was written: the session goes on. */
void blocking_finish(struct blocking *b, struct blocked *blocked);
void blocking_session_gone(struct blocking *b, struct session *s);
void blocking_interrupt_all(struct blocking *b, enum blocked_kind kind, const char *error);
/* The same, and each connection is closed behind its error. */
void blocking_disconnect_all(struct blocking *b, enum blocked_kind kind, const char *error);
size_t blocking_count(const struct blocking *b);
size_t blocking_count_timeouts(const struct blocking *b); /* of those blocked, who have one */
/* Each blocked session of a kind; `visit` may finish the one it is given. */
void blocking_each(struct blocking *b, enum blocked_kind kind, void (*visit)(void *arg, struct blocked *blocked),
                   void *arg);

#endif
