/* Waiting sessions, in the server process: one list, searched for due deadlines once a turn (waiting clients are few).
 */
#include "server/core/blocking.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/core/clients.h"

struct blocking {
    struct list all; /* struct blocked.node, oldest first */
    size_t count_by_kind[BLOCKED_SHUTDOWN + 1];
    int64_t next_deadline_ms; /* lower bound of all deadlines; 0: none */
};

struct blocking *blocking_new(void)
{
    struct blocking *b = mem_calloc(1, sizeof *b);
    list_init(&b->all);
    return b;
}

struct blocked *blocking_start(struct blocking *b, struct session *s, enum blocked_kind kind, int64_t deadline_ms)
{
    CHECK(!s->blocked);
    struct blocked *blocked = mem_calloc(1, sizeof *blocked);
    blocked->kind = kind;
    blocked->session = s;
    blocked->deadline_ms = deadline_ms;
    s->blocked = blocked;
    list_push_back(&b->all, &blocked->node);
    b->count_by_kind[kind]++;
    if (deadline_ms && (!b->next_deadline_ms || deadline_ms < b->next_deadline_ms)) b->next_deadline_ms = deadline_ms;
    return blocked;
}

static void unlink_blocked(struct blocking *b, struct blocked *blocked)
{
    list_remove(&b->all, &blocked->node);
    b->count_by_kind[blocked->kind]--;
    blocked->session->blocked = NULL;
    if (blocked->released) blocked->released(blocked);
    mem_free(blocked);
}

void blocking_finish(struct blocking *b, struct blocked *blocked)
{
    struct client *client = blocked->session->client;
    unlink_blocked(b, blocked);
    if (client) client_wake(client);
}

void blocking_session_gone(struct blocking *b, struct session *s)
{
    if (s->blocked) unlink_blocked(b, s->blocked);
}

void blocking_expire(struct blocking *b, int64_t now_ms)
{
    if (!b->next_deadline_ms || now_ms < b->next_deadline_ms) return;
    b->next_deadline_ms = 0;
    list_each(&b->all, node)
    {
        struct blocked *blocked = list_entry(node, struct blocked, node);
        if (blocked->deadline_ms && blocked->deadline_ms <= now_ms) {
            blocked->timed_out(blocked);
            blocking_finish(b, blocked);
        } else if (blocked->deadline_ms && (!b->next_deadline_ms || blocked->deadline_ms < b->next_deadline_ms)) {
            b->next_deadline_ms = blocked->deadline_ms;
        }
    }
}

int64_t blocking_next_deadline_ms(const struct blocking *b)
{
    return b->next_deadline_ms;
}

void blocking_interrupt_all(struct blocking *b, enum blocked_kind kind, const char *error)
{
    list_each(&b->all, node)
    {
        struct blocked *blocked = list_entry(node, struct blocked, node);
        if (blocked->kind != kind || !blocked->interrupted) continue;
        blocked->interrupted(blocked, error);
        blocking_finish(b, blocked);
    }
}

void blocking_disconnect_all(struct blocking *b, enum blocked_kind kind, const char *error)
{
    list_each(&b->all, node)
    {
        struct blocked *blocked = list_entry(node, struct blocked, node);
        struct client *client = blocked->session->client;
        if (blocked->kind != kind || !blocked->interrupted) continue;
        blocked->interrupted(blocked, error);
        if (client) client_close_after_reply(client);
        blocking_finish(b, blocked);
    }
}

size_t blocking_count(const struct blocking *b)
{
    return b->all.count;
}

size_t blocking_count_kind(const struct blocking *b, enum blocked_kind kind)
{
    return b->count_by_kind[kind];
}

void blocking_each(struct blocking *b, enum blocked_kind kind, void (*visit)(void *arg, struct blocked *blocked),
                   void *arg)
{
    list_each(&b->all, node)
    {
        struct blocked *blocked = list_entry(node, struct blocked, node);
        if (blocked->kind == kind) visit(arg, blocked);
    }
}
