/* See append_only_parts.h: who has asked for a rewrite, and is answered once it is known whether it begins. Server
 * process.
 *
 * Redis forks within the command and answers with the result. Ours has files to open before, which a worker does, so
 * the answer waits for it, and for the fork: the server goes on meanwhile. */
#include "server/core/dataset/append_only_parts.h"

#include "server/core/session/blocking.h"

static void answer(void *arg, struct blocked *b)
{
    const enum append_only_answer *answer = arg;
    append_only_answer_to(&b->session->reply, *answer);
    blocking_finish(b->blocking, b);
}

void append_only_answer_to(struct reply *reply, enum append_only_answer answer)
{
    switch (answer) {
    case APPEND_ONLY_OPENING:
    case APPEND_ONLY_STARTED: return reply_simple(reply, "Background append only file rewriting started");
    case APPEND_ONLY_SCHEDULED: return reply_simple(reply, "Background append only file rewriting scheduled");
    case APPEND_ONLY_UNDER_WAY:
        return reply_error(reply, "ERR Background append only file rewriting already in progress");
    case APPEND_ONLY_FAILED:
        return reply_error(reply, "ERR Can't execute an AOF background rewriting. Please check the server logs for "
                                  "more information.");
    }
}

bool append_only_answer_later(struct core *core, struct session *session)
{
    if (!session->client || session->in_exec) return false;
    blocking_start(core->blocking, session, BLOCKED_REWRITE, 0); /* it ends with the step: nobody interrupts it */
    return true;
}

void append_only_answer_who_waits(struct append_only *a, enum append_only_answer outcome)
{
    blocking_each(a->core->blocking, BLOCKED_REWRITE, answer, &outcome);
}
