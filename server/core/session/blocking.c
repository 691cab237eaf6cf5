/* Waiting sessions, in the server process: a list for each kind, and a timer for each time-out, so that whoever waits
 * costs nothing while others come, go and run out of time. */
#include "server/core/session/blocking.h"

#include "server/base/alloc.h"
#include "server/base/check.h"

struct blocking {
    struct loop *loop;
    struct stats *stats;              /* a wait that ends with an error counts it */
    struct list kinds[BLOCKED_KINDS]; /* struct blocked.node, oldest first */
    size_t timeouts;
};

struct blocking *blocking_new(struct loop *loop, struct stats *stats)
{
    struct blocking *b = mem_calloc(1, sizeof *b);
    b->loop = loop;
    b->stats = stats;
    for (int kind = 0; kind < BLOCKED_KINDS; kind++) list_init(&b->kinds[kind]);
    return b;
}

static int64_t out_of_time(void *arg)
{
    struct blocked *blocked = arg;
    struct blocking *b = blocked->blocking;
    blocked->timeout = NULL; /* the loop frees a timer that is done */
    b->timeouts--;
    blocked->timed_out(blocked);
    blocking_finish(b, blocked);
    return LOOP_TIMER_DONE;
}

struct blocked *blocking_start(struct blocking *b, struct session *s, enum blocked_kind kind, int64_t timeout_ms)
{
    CHECK(!s->blocked);
    struct blocked *blocked = mem_calloc(1, sizeof *blocked);
    blocked->kind = kind;
    blocked->session = s;
    blocked->blocking = b;
    s->blocked = blocked;
    list_push_back(&b->kinds[kind], &blocked->node);
    if (timeout_ms) {
        blocked->timeout = loop_timer_start(b->loop, timeout_ms, out_of_time, blocked);
        b->timeouts++;
    }
    return blocked;
}

static void unlink_blocked(struct blocking *b, struct blocked *blocked)
{
    list_remove(&b->kinds[blocked->kind], &blocked->node);
    if (blocked->timeout) {
        loop_timer_cancel(blocked->timeout);
        b->timeouts--;
    }
    blocked->session->blocked = NULL;
    if (blocked->released) blocked->released(blocked);
    mem_free(blocked);
}

void blocking_finish(struct blocking *b, struct blocked *blocked)
{
    struct session *s = blocked->session;
    bool ran = blocked->kind != BLOCKED_PAUSE;
    unlink_blocked(b, blocked);
    if (ran) {
        session_count_error(s, b->stats, s->running_command);
        session_command_done(s);
    }
    session_wake(s);
}

void blocking_session_gone(struct blocking *b, struct session *s)
{
    if (s->blocked) unlink_blocked(b, s->blocked);
}

void blocking_interrupt_all(struct blocking *b, enum blocked_kind kind, const char *error)
{
    list_each(&b->kinds[kind], node)
    {
        struct blocked *blocked = list_entry(node, struct blocked, node);
        if (!blocked->interrupted) continue;
        blocked->interrupted(blocked, error);
        blocking_finish(b, blocked);
    }
}

void blocking_disconnect_all(struct blocking *b, enum blocked_kind kind, const char *error)
{
    list_each(&b->kinds[kind], node)
    {
        struct blocked *blocked = list_entry(node, struct blocked, node);
        struct session *s = blocked->session;
        if (!blocked->interrupted) continue;
        blocked->interrupted(blocked, error);
        if (s->owner) s->owner->close_after_reply(s);
        blocking_finish(b, blocked);
    }
}

size_t blocking_count(const struct blocking *b)
{
    size_t count = 0;
    for (int kind = 0; kind < BLOCKED_KINDS; kind++) count += b->kinds[kind].count;
    return count;
}

size_t blocking_count_timeouts(const struct blocking *b)
{
    return b->timeouts;
}

void blocking_each(struct blocking *b, enum blocked_kind kind, void (*visit)(void *arg, struct blocked *blocked),
                   void *arg)
{
    list_each(&b->kinds[kind], node) visit(arg, list_entry(node, struct blocked, node));
}
