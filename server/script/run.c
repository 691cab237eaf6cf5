/* Running a script: the caller's request in, its reply out. Server process.
 *
 * The commands inside run in a session of the engine's own that borrows the caller's database, user and rights. What
 * they change leaves in the unit of the command that runs the script, which stands around them. */
#include "server/base/check.h"
#include "server/base/number.h"
#include "server/core/command/command_table.h"
#include "server/core/dataset/memory_limit.h"
#include "server/core/run/gate.h"
#include "server/core/session/monitors.h"
#include "server/core/settings.h"
#include "server/net/loop.h"
#include "server/script/convert.h"
#include "server/script/long_run.h"
#include "server/script/parts.h"

#include <lauxlib.h>
#include <stdio.h>

#define HEAP_LEAST_BYTES ((size_t)16 * 1024 * 1024)

struct invocation {
    struct script_engine *engine;
    const struct script *script;
    struct call *call;
    const struct bytes *keys, *arguments;
    uint32_t key_count, argument_count;
    bool error_counted;
};

/* --- before --- */

bool script_keys_fit(struct call *call, uint32_t keys_from)
{
    int64_t count;
    if (!call_arg_i64(call, keys_from, &count, NULL)) return false;
    if (count > (int64_t)call->argc - (int64_t)keys_from - 1) {
        reply_error(call->reply, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    if (count < 0) {
        reply_error(call->reply, "ERR Number of keys can't be negative");
        return false;
    }
    return true;
}

static void find_keys(struct invocation *i, uint32_t keys_from)
{
    int64_t count;
    CHECK(parse_i64(i->call->argv[keys_from], &count) == 0);
    i->key_count = (uint32_t)count;
    i->keys = i->call->argv + keys_from + 1;
    i->arguments = i->keys + count;
    i->argument_count = i->call->argc - keys_from - 1 - i->key_count;
}

/* What the gate could not know, since it depends on the script and the command both. NULL: go on. */
static const char *refusal(const struct call *call, const struct script *script, bool read_only)
{
    bool stale = gate_is_stale(call->core) && !session_is_obeyed(call->session);
    if (unlikely(stale) && !(script->flags & SCRIPT_ALLOW_STALE)) return GATE_STALE_ERROR;
    if (read_only && !(script->flags & (SCRIPT_COMPATIBLE | SCRIPT_NO_WRITES)))
        return "ERR Can not execute a script with write flag using *_ro command.";
    return NULL;
}

static bool is_out_of_memory(struct core *core)
{
    if (likely(!core->settings->keyspace.maxmemory_bytes && !keyspace_pressed())) return false;
    return memory_limit_refusal(core, true) != NULL;
}

/* A script may take as much as the data; where they have no limit, most of the machine: it gets an error then, and the
 * server stays alive. */
size_t script_heap_limit(const struct script_engine *e)
{
    uint64_t limit = e->core->settings->keyspace.maxmemory_bytes;
    if (likely(!limit)) return e->most_bytes / 5 * 4;
    return limit > HEAP_LEAST_BYTES ? limit : HEAP_LEAST_BYTES;
}

static void begin(struct script_engine *e, const struct script *script, struct call *call, bool read_only)
{
    struct script_run *run = &e->run;
    const struct session *caller = call->session;
    struct session *s = &run->session;
    bool obeyed = session_is_obeyed(caller);
    run->script = script;
    run->call = call;
    run->protocol = 2;
    run->started_ms = loop_monotonic_ms(e->core->loop);
    run->read_only = read_only || (script->flags & SCRIPT_NO_WRITES);
    run->allow_oom = obeyed || (script->flags & (SCRIPT_ALLOW_OOM | SCRIPT_NO_WRITES));
    run->out_of_memory = !run->allow_oom && is_out_of_memory(call->core);
    run->wrote = run->killed = false;
    s->kind = obeyed ? caller->kind : SESSION_SCRIPT;
    s->db = caller->db;
    s->user = caller->user;
    s->no_touch = caller->no_touch;
    session_speak_for(s, call->session);
    s->unpropagated = s->stream_broken = false;
    s->reply.protocol = 2;
    script->vm->limit_bytes = script_heap_limit(e);
    script->vm->source = script->source;
    script->vm->line = script->return_line;
}

static void end(struct script_run *run)
{
    if (run->session.stream_broken) run->call->session->stream_broken = true;
    if (unlikely(!outq_empty(&run->reply) || outq_memory(&run->reply) > OUTQ_CHUNK_BYTES)) outq_clear(&run->reply);
    run->script = NULL;
    run->call = NULL;
}

/* --- inside --- */

static void push_list(lua_State *lua, const struct bytes *values, uint32_t count)
{
    lua_createtable(lua, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        lua_pushlstring(lua, (const char *)values[i].ptr, values[i].len);
        lua_rawseti(lua, -2, (int)i + 1);
    }
}

/* Pushes it, and sets the global variable. */
static void set_list(lua_State *lua, int name, const struct bytes *values, uint32_t count)
{
    push_list(lua, values, count);
    lua_pushvalue(lua, lua_upvalueindex(name));
    lua_pushvalue(lua, -2);
    lua_rawset(lua, lua_upvalueindex(UPVALUE_GLOBALS));
}

static void run_body(lua_State *lua, void *arg)
{
    struct invocation *i = arg;
    int given = 2;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, i->script->function);
    if (i->script->is_function) {
        push_list(lua, i->keys, i->key_count);
        push_list(lua, i->arguments, i->argument_count);
    } else {
        lua_pushvalue(lua, lua_upvalueindex(UPVALUE_REDIS));
        set_list(lua, UPVALUE_KEYS, i->keys, i->key_count);
        set_list(lua, UPVALUE_ARGV, i->arguments, i->argument_count);
        given = i->script->takes_names ? 3 : 0;
        if (!given) lua_pop(lua, 3);
    }
    lua_call(lua, given, 1);
    script_long_run_check(i->engine, lua);
    i->error_counted = script_write_reply(lua, i->call->reply, i->engine->run.protocol);
}

/* --- after --- */

/* The command inside that failed has counted this error; the one that runs the script has failed by it all the same. */
static void note_counted(struct call *call)
{
    call->session->errors_counted = call->reply->errors;
    call->command->failed++;
}

static void reply_script_error(struct invocation *i, const struct script_error *error)
{
    char text[1024];
    int shown = (int)(error->text.len < sizeof text / 2 ? error->text.len : sizeof text / 2), len;
    const char *name = i->script->name;
    if (error->source.len)
        len = snprintf(text, sizeof text, "%.*s script: %s, on %.*s:%lld.", shown, (const char *)error->text.ptr, name,
                       (int)(error->source.len < 128 ? error->source.len : 128), (const char *)error->source.ptr,
                       (long long)error->line);
    else
        len = snprintf(text, sizeof text, "%.*s script: %s", shown, (const char *)error->text.ptr, name);
    script_reply_error(i->call->reply, bytes_make(text, (size_t)len));
}

void script_run(struct script_engine *e, const struct script *script, struct call *call, uint32_t keys_from,
                bool read_only)
{
    struct invocation i = {.engine = e, .script = script, .call = call};
    struct script_error error;
    find_keys(&i, keys_from);
    const char *why_not = refusal(call, script, read_only);
    if (why_not) return reply_error(call->reply, why_not);
    begin(e, script, call, read_only);
    if (unlikely(monitors_any(e->core->monitors))) /* before what runs inside, which they see next */
        monitors_show(e->core, call->session, call->argc, call->argv, 0);
    script_long_run_watch(e);
    if (script_vm_enter(script->vm, run_body, &i, &error)) {
        reply_script_error(&i, &error);
        i.error_counted = error.counted;
    }
    script_long_run_end(e);
    script_vm_leave(script->vm);
    end(&e->run);
    if (i.error_counted) note_counted(call);
}
