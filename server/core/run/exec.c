/* See exec.h. Server process. */
#include "server/core/run/exec.h"

#include "server/core/core.h"
#include "server/core/run/run.h"
#include "server/core/session/transaction.h"
#include "server/core/session/watch.h"

static void run_queue(struct call *call)
{
    struct session *s = call->session;
    struct transaction *t = s->transaction;
    const struct queued_command *queue = transaction_queued(t);
    size_t length = transaction_length(s);
    s->transaction = NULL; /* what runs now is not queued */
    s->in_exec = true;
    reply_array(&s->reply, length);
    for (size_t i = 0; i < length && !s->stream_broken; i++) {
        struct request r = {.argc = queue[i].argc, .argv = queue[i].argv, .command = queue[i].command};
        run_command(call->core, s, &r, call->now_ms);
    }
    s->in_exec = false;
    s->transaction = t;
}

void exec_transaction(struct call *call)
{
    struct session *s = call->session;
    struct watches *w = call->core->watches;
    if (transaction_is_spoiled(s)) {
        reply_error(call->reply, "EXECABORT Transaction discarded because of previous errors.");
        transaction_discard(w, s);
        return;
    }
    if (s->watch_broken || watch_has_expired(w, s, call->now_ms)) {
        reply_null_array(call->reply);
        transaction_discard(w, s);
        return;
    }
    watch_forget_all(w, s); /* before the first write: its own keys must not trouble it */
    run_queue(call);
    transaction_free(s);
}
