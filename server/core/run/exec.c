/* See exec.h. Server process. */
#include "server/core/run/exec.h"

#include "server/acl/users.h"
#include "server/base/check.h"
#include "server/core/core.h"
#include "server/core/dataset/persistence.h"
#include "server/core/run/permission.h"
#include "server/core/run/run.h"
#include "server/core/run/stream_fault.h"
#include "server/core/session/pause.h"
#include "server/core/session/session.h"
#include "server/core/session/transaction.h"
#include "server/core/session/watch.h"

/* The rules may have changed since the command was queued. */
static bool still_allowed(struct call *call, const struct request *r)
{
    static const char *const reasons[] = {
        [ACL_DENIED_COMMAND] = "no permission to execute the command or subcommand",
        [ACL_DENIED_KEY] = "no permission to touch the specified keys",
        [ACL_DENIED_CHANNEL] = "no permission to access one of the channels used as arguments",
    };
    struct session *s = call->session;
    const struct user *u = s->user ? s->user : call->core->users->default_user;
    if (likely(u->unrestricted)) return true;
    struct acl_denial denial = acl_check(u, r->command, r->argc, r->argv);
    if (denial.reason == ACL_ALLOWED) return true;
    s->running_command = call->command;
    acl_note_denied(call->core, s, r, denial, ACL_MULTI);
    reply_errorf(&s->reply,
                 "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This "
                 "command is no longer allowed for the following reason: %s",
                 reasons[denial.reason]);
    session_count_error(s, call->core->stats, NULL);
    return false;
}

/* What our master sent as one is not gone on with behind a command that fails here. */
static void run_queued(struct call *call, const struct request *r)
{
    struct session *s = call->session;
    uint64_t changes = persistence_state(call->core)->changes_since_save;
    uint32_t errors = s->reply.errors;
    run_command(call->core, s, r, call->now_ms);
    if (unlikely(s->reply.errors != errors) && s->kind == SESSION_MASTER) stream_fault_judge(call->core, s, r, changes);
}

static void run_queue(struct call *call)
{
    struct session *s = call->session;
    struct transaction *t = s->transaction;
    const struct queued_command *queue = transaction_queued(t);
    size_t length = transaction_length(s);
    s->transaction = NULL; /* what runs now is not queued */
    s->in_exec = true;
    pauses_unit(call->core->pauses, true);
    reply_array(&s->reply, length);
    for (size_t i = 0; i < length && !s->stream_broken; i++) {
        struct request r = {.argc = queue[i].argc, .argv = queue[i].argv, .command = queue[i].command};
        if (still_allowed(call, &r)) run_queued(call, &r);
    }
    pauses_unit(call->core->pauses, false);
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
