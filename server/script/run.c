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
#include "server/script/dialect.h"
#include "server/script/long_run.h"
#include "server/script/parts.h"

#include <lauxlib.h>
#include <stdio.h>

#define HEAP_LEAST_BYTES ((size_t)16 * 1024 * 1024)

/* Of lists that stay from one script to the next, so that nothing large stays. */
#define KEPT_VALUES 64
#define KEPT_BYTES  4096

struct invocation {
    struct script_engine *engine;
    const struct script *script;
    struct call *call;
    const struct bytes *keys, *arguments;
    uint32_t key_count, argument_count;
    bool error_counted;
};

/* --- before --- */

void script_show_monitors(const struct call *call)
{
    if (unlikely(monitors_any(call->core->monitors)))
        monitors_show(call->core, call->session, call->argc, call->argv, 0);
}

bool script_keys_fit(struct call *call, uint32_t keys_from, uint32_t *key_count)
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
    *key_count = (uint32_t)count;
    return true;
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
    s->script_time_us = 0;
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

static bool is_small(const struct bytes *values, uint32_t count)
{
    size_t bytes = 0;
    if (count > KEPT_VALUES) return false;
    for (uint32_t i = 0; i < count; i++) bytes += values[i].len;
    return bytes <= KEPT_BYTES;
}

/* The same table for each script that only looks at it: what the one before has had is not there any more. */
static void push_kept_list(lua_State *lua, int kept, uint32_t *held, const struct bytes *values, uint32_t count)
{
    lua_pushvalue(lua, lua_upvalueindex(kept));
    uint32_t before = *held;
    if (count > before) *held = count; /* an error may come in between */
    for (uint32_t i = 0; i < count; i++) {
        lua_pushlstring(lua, (const char *)values[i].ptr, values[i].len);
        lua_rawseti(lua, -2, (int)i + 1);
    }
    for (uint32_t i = count; i < before; i++) {
        lua_pushnil(lua);
        lua_rawseti(lua, -2, (int)i + 1);
    }
    *held = count;
}

/* Lists of their own, which are the global variables, too. Returns how many values are pushed,
 * for functions these two. */
static int push_lists(lua_State *lua, const struct invocation *i)
{
    if (i->script->is_function) {
        push_list(lua, i->keys, i->key_count);
        push_list(lua, i->arguments, i->argument_count);
        return 2;
    }
    set_list(lua, UPVALUE_KEYS, i->keys, i->key_count);
    set_list(lua, UPVALUE_ARGV, i->arguments, i->argument_count);
    uint32_t uses = i->script->uses;
    if (!(uses & SCRIPT_USES_ARGV)) lua_pop(lua, 1);
    if (!(uses & SCRIPT_USES_KEYS)) lua_remove(lua, uses & SCRIPT_USES_ARGV ? -2 : -1);
    return !!(uses & SCRIPT_USES_KEYS) + !!(uses & SCRIPT_USES_ARGV);
}

/* Only what the script names, and each list as it looks at it. */
static int push_named_lists(lua_State *lua, const struct invocation *i)
{
    struct script_vm *vm = i->script->vm;
    uint32_t uses = i->script->uses;
    if (uses & SCRIPT_USES_KEYS) {
        if (!(uses & SCRIPT_KEEPS_KEYS) && is_small(i->keys, i->key_count))
            push_kept_list(lua, UPVALUE_KEPT_KEYS, &vm->kept_keys, i->keys, i->key_count);
        else
            push_list(lua, i->keys, i->key_count);
    }
    if (uses & SCRIPT_USES_ARGV) {
        if (!(uses & SCRIPT_KEEPS_ARGV) && is_small(i->arguments, i->argument_count))
            push_kept_list(lua, UPVALUE_KEPT_ARGV, &vm->kept_arguments, i->arguments, i->argument_count);
        else
            push_list(lua, i->arguments, i->argument_count);
    }
    return !!(uses & SCRIPT_USES_KEYS) + !!(uses & SCRIPT_USES_ARGV);
}

static int push_names(lua_State *lua, uint32_t uses)
{
    static const struct {
        uint32_t use;
        int upvalue;
    } names[] = {
        {SCRIPT_USES_REDIS, UPVALUE_REDIS}, {SCRIPT_USES_CALL, UPVALUE_CALL}, {SCRIPT_USES_PCALL, UPVALUE_PCALL}};
    int pushed = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!(uses & names[i].use)) continue;
        lua_pushvalue(lua, lua_upvalueindex(names[i].upvalue));
        pushed++;
    }
    return pushed;
}

static void run_body(lua_State *lua, void *arg)
{
    struct invocation *i = arg;
    uint32_t uses = i->script->uses;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, i->script->function);
    int given =
        !i->script->is_function && !(uses & SCRIPT_SEES_GLOBALS) ? push_named_lists(lua, i) : push_lists(lua, i);
    if (uses & SCRIPT_TAKES_NAMES) given += push_names(lua, uses);
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
                uint32_t key_count, bool read_only)
{
    const struct bytes *keys = call->argv + keys_from + 1;
    struct invocation i = {
        .engine = e,
        .script = script,
        .call = call,
        .keys = keys,
        .key_count = key_count,
        .arguments = keys + key_count,
        .argument_count = call->argc - keys_from - 1 - key_count,
    };
    struct script_error error;
    const char *why_not = refusal(call, script, read_only);
    if (why_not) return reply_error(call->reply, why_not);
    begin(e, script, call, read_only);
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
