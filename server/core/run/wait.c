/* WAIT, in the server process. The link process sees the acknowledgements and rings when the lowest wanted one has
 * come. */
#include "server/core/run/wait.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/core/core.h"
#include "server/core/session/blocking.h"
#include "server/net/loop.h"

struct waiting {
    struct core *core;
    uint64_t offset;
    int64_t replicas;
};

static void answer(struct blocked *b)
{
    const struct waiting *w = b->state;
    reply_integer(&b->session->reply, replication_acked(w->core->replication, w->offset));
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

void wait_start(struct call *call, int64_t replicas, int64_t timeout_ms)
{
    struct core *core = call->core;
    uint64_t offset = call->session->written_offset;
    int acked = replication_acked(core->replication, offset);
    if (acked >= replicas || call->session->in_exec || !call->session->client) {
        reply_integer(call->reply, acked);
        return;
    }
    call->waits = true;
    struct blocked *b = blocking_start(core->blocking, call->session, BLOCKED_WAIT, timeout_ms);
    struct waiting *w = mem_alloc(sizeof *w);
    *w = (struct waiting){core, offset, replicas};
    b->state = w;
    b->timed_out = answer;
    b->interrupted = interrupted;
    b->released = released;
    replication_ask_acks(core->replication, offset);
}

static void check_one(void *arg, struct blocked *b)
{
    bool *some_wait_on = arg;
    const struct waiting *w = b->state;
    if (replication_acked(w->core->replication, w->offset) < w->replicas) {
        *some_wait_on = true;
        return;
    }
    answer(b);
    blocking_finish(w->core->blocking, b);
}

bool wait_check_all(struct core *core)
{
    bool some_wait_on = false;
    blocking_each(core->blocking, BLOCKED_WAIT, check_one, &some_wait_on);
    return some_wait_on;
}
