/* See dispatch.h. Server process. */
#include "server/core/run/dispatch.h"

#include "server/base/check.h"
#include "server/base/log.h"
#include "server/core/core.h"
#include "server/core/run/block_keys.h"
#include "server/core/run/gate.h"
#include "server/core/run/permission.h"
#include "server/core/run/run.h"
#include "server/core/session/busy.h"
#include "server/core/session/monitors.h"
#include "server/core/session/pause.h"
#include "server/core/session/session.h"
#include "server/core/session/transaction.h"
#include "server/net/loop.h"

/* An EXEC that may not run takes its transaction with it. */
static void abort_transaction(struct core *core, struct session *s, const struct request *r, const char *error)
{
    const char *reason = strncmp(error, "ERR ", 4) == 0 ? error + 4 : error;
    reply_errorf(&s->reply, "EXECABORT Transaction discarded because of: %s", reason);
    if (s->transaction) transaction_discard(core->watches, s);
    if (monitors_any(core->monitors)) monitors_show(core, s, r->argc, r->argv, 0);
}

static void refuse(struct core *core, struct session *s, const struct request *r, const char *error)
{
    struct command_entry *e = r->command;
    if (e) e->rejected++;
    if (e && (e->row->flags & CMD_RUNS_QUEUE)) {
        abort_transaction(core, s, r, error);
    } else {
        if (s->transaction) transaction_spoil(s);
        reply_error(&s->reply, error);
    }
    session_count_error(s, core->stats, NULL);
}

static void note_denied(struct core *core, struct session *s, const struct request *r)
{
    enum acl_context context = s->transaction ? ACL_MULTI : ACL_TOPLEVEL;
    struct acl_denial denial = acl_check(s->user, r->command, r->argc, r->argv);
    acl_note_denied(core, s, r, denial, context);
}

static void queue(struct session *s, const struct request *r)
{
    transaction_queue(s, r->command, r->argc, r->argv);
    reply_simple(&s->reply, "QUEUED");
}

static void cut_off(struct session *s)
{
    log_warning("Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. "
                "This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis "
                "instance. Connection aborted.");
    s->owner->close(s);
}

static void run(struct core *core, struct session *s, const struct request *r)
{
    run_command(core, s, r, loop_wall_ms(core->loop));
    if (unlikely(block_keys_pending(core->block_keys)) && !is_busy(core->busy)) block_keys_serve(core);
}

/* Apart, so that those who run need not save what this needs. */
static __attribute__((noinline)) void keep_from_running(struct core *core, struct session *s, const struct request *r,
                                                        struct verdict verdict)
{
    switch (verdict.way) {
    case GATE_RUN: UNREACHABLE();
    case GATE_QUEUE: return queue(s, r);
    case GATE_HOLD: return pause_hold(core->pauses, s);
    case GATE_REFUSE:
        if (verdict.by_rules) note_denied(core, s, r);
        return refuse(core, s, r, verdict.error);
    case GATE_CUT_OFF: return cut_off(s);
    }
}

void dispatch_request(struct core *core, struct session *s, const struct request *r)
{
    char room[GATE_ERROR_MAX];
    struct verdict verdict = gate_judge(core, s, r, room);
    if (likely(verdict.way == GATE_RUN))
        run(core, s, r);
    else
        keep_from_running(core, s, r, verdict);
}
