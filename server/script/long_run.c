/* See long_run.h. Server process.
 *
 * Past busy-reply-threshold the watchdog interrupts the script every few milliseconds, and the loop has a turn. Others
 * get -BUSY by the gate then, unless their command is one that is allowed (CMD_ALLOW_BUSY); what looks at the data, or
 * saves it, waits (core/session/busy.h). */
#include "server/script/long_run.h"

#include "server/base/log.h"
#include "server/core/dataset/propagate.h"
#include "server/core/lifecycle.h"
#include "server/core/session/busy.h"
#include "server/core/session/pause.h"
#include "server/core/settings.h"
#include "server/net/loop.h"
#include "server/script/parts.h"
#include "server/script/watchdog.h"

#include <lauxlib.h>

static const char busy_with_script[] =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
static const char busy_with_function[] =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

static const char *refusal(const struct script_run *run)
{
    return run->script->is_function ? busy_with_function : busy_with_script;
}

/* Called for every instruction, so that no pcall of the script's can go on. */
static void refuse_to_run(lua_State *lua, lua_Debug *where)
{
    (void)where;
    script_raise(lua, script_engine_of(lua)->run.script->is_function ? "ERR Script killed by user with FUNCTION KILL."
                                                                     : "ERR Script killed by user with SCRIPT KILL...");
}

static void note_that_it_is_long(struct script_engine *e)
{
    struct script_run *run = &e->run;
    if (is_busy(e->core->busy)) return;
    log_warning(
        "Slow script detected: still in execution after %lld milliseconds. You can try killing the script using "
        "the %s command. Script name is: %s.",
        (long long)e->core->settings->server.busy_reply_threshold_ms,
        run->script->is_function ? "FUNCTION KILL" : "SCRIPT KILL", run->script->name);
    e->core->busy->refusal = refusal(run);
    pauses_unit(e->core->pauses, true);
}

/* A server that ends in the middle of a script leaves nothing of what the script has done:
 * no replica has heard of it. */
static void end_with_server(struct script_engine *e)
{
    propagate_abandon(e->core->propagation);
    e->run.session.unpropagated = true;
    e->run.killed = true;
}

static void interrupted(lua_State *lua, lua_Debug *where)
{
    struct script_engine *e = script_engine_of(lua);
    note_that_it_is_long(e);
    loop_turn(e->core->loop, 0);
    if (e->core->lifecycle->stopping) end_with_server(e);
    if (!e->run.killed) return;
    script_watchdog_stop_with(lua, refuse_to_run);
    refuse_to_run(lua, where);
}

void script_long_run_watch(struct script_engine *e)
{
    script_watchdog_start(e->run.script->vm->lua, e->core->settings->server.busy_reply_threshold_ms, interrupted);
}

void script_long_run_check(struct script_engine *e, lua_State *lua)
{
    if (unlikely(e->run.killed)) refuse_to_run(lua, NULL);
}

void script_long_run_end(struct script_engine *e)
{
    script_watchdog_stop();
    if (is_busy(e->core->busy)) pauses_unit(e->core->pauses, false);
    e->core->busy->refusal = NULL;
}

void script_kill(struct script_engine *e, struct call *call, bool function)
{
    struct script_run *run = &e->run;
    if (!run->script) return reply_error(call->reply, "NOTBUSY No scripts in execution right now.");
    if (run->script->is_function != function) return reply_error(call->reply, refusal(run));
    if (run->session.kind == SESSION_MASTER)
        return reply_error(call->reply, "UNKILLABLE The busy script was sent by a master instance in the context of "
                                        "replication and cannot be killed.");
    if (run->wrote)
        return reply_error(call->reply,
                           "UNKILLABLE Sorry the script already executed write commands against the dataset. You can "
                           "either wait the script termination or kill the server in a hard way using the SHUTDOWN "
                           "NOSAVE command.");
    run->killed = true;
    reply_ok(call->reply);
}
