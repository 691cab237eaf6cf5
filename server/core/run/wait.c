/* WAIT and WAITAOF, in the server process. The link process sees the acknowledgements and rings when the lowest wanted
 * one has come; of our own disk the journal tells. */
#include "server/core/run/wait.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/session/blocking.h"
#include "server/net/loop.h"

struct waiting {
    struct core *core;
    uint64_t offset;
    struct wait_goal goal;
};

static int replicas_there(const struct waiting *w)
{
    const struct replication *r = w->core->replication;
    return w->goal.disks ? replication_durable(r, w->offset) : replication_acked(r, w->offset);
}

static bool is_on_our_disk(const struct waiting *w)
{
    return append_only_is_on(w->core) && append_only_durable_offset(w->core) >= w->offset;
}

static bool is_reached(const struct waiting *w)
{
    return replicas_there(w) >= w->goal.replicas && (!w->goal.local || is_on_our_disk(w));
}

static void answer_to(struct reply *reply, const struct waiting *w)
{
    if (w->goal.disks) {
        reply_array(reply, 2);
        reply_integer(reply, is_on_our_disk(w));
    }
    reply_integer(reply, replicas_there(w));
}

static void answer(struct blocked *b)
{
    answer_to(&b->session->reply, b->state);
}

static void interrupted(struct blocked *b, const char *error)
{
    if (error)
        reply_error(&b->session->reply, error);
    else
        answer(b);
}

static void released(struct blocked *b)
{
    mem_free(b->state);
}

void wait_start(struct call *call, const struct wait_goal *goal, int64_t timeout_ms)
{
    struct core *core = call->core;
    struct waiting wanted = {core, call->session->written_offset, *goal};
    if (is_reached(&wanted) || call->session->in_exec || !call->session->client) {
        answer_to(call->reply, &wanted);
        return;
    }
    call->waits = true;
    struct blocked *b = blocking_start(core->blocking, call->session, BLOCKED_WAIT, timeout_ms);
    struct waiting *w = mem_alloc(sizeof *w);
    *w = wanted;
    b->state = w;
    b->timed_out = answer;
    b->interrupted = interrupted;
    b->released = released;
    if (goal->local) append_only_watch(core, wanted.offset);
    if (goal->replicas) replication_ask_acks(core->replication, wanted.offset);
}

struct check {
    bool some_wait_on;
    uint64_t lowest; /* that our own disk is waited for with; 0: it is not */
};

static void check_one(void *arg, struct blocked *b)
{
    struct check *check = arg;
    const struct waiting *w = b->state;
    bool lost = w->goal.local && !append_only_is_on(w->core);
    if (lost) {
        reply_error(&b->session->reply, WAITAOF_WITHOUT_FILE);
    } else if (is_reached(w)) {
        answer(b);
    } else {
        check->some_wait_on = true;
        bool lowest = !check->lowest || w->offset < check->lowest;
        if (w->goal.local && !is_on_our_disk(w) && lowest) check->lowest = w->offset;
        return;
    }
    blocking_finish(w->core->blocking, b);
}

static struct check check_all(struct core *core)
{
    struct check check = {0};
    blocking_each(core->blocking, BLOCKED_WAIT, check_one, &check);
    return check;
}

bool wait_check_all(struct core *core)
{
    return check_all(core).some_wait_on;
}

void wait_check_disk(struct core *core)
{
    uint64_t lowest = check_all(core).lowest;
    if (lowest) append_only_watch(core, lowest);
}
