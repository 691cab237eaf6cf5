/* What the code of function libraries finds around it. Server process.
 *
 * All of it has one table for globals, which stands for two in turn. While a library is being loaded it is a small one:
 * redis.register_function, redis.log and a few constants, and nothing that could touch data or depend on it. When its
 * functions are called, it is what EVAL's scripts have. */
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/script/dialect.h"
#include "server/script/function_parts.h"
#include "server/script/parts.h"
#include "server/script/protect.h"
#include "server/script/sandbox.h"
#include "server/script/watchdog.h"

#include <lauxlib.h>
#include <stdio.h>

static int no_such_global(lua_State *lua)
{
    const char *name = lua_tostring(lua, 2);
    return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'", name ? name : "?");
}

/* Reading from the table on top what is not there is an error. */
static void forbid_unknown(lua_State *lua)
{
    lua_createtable(lua, 0, 1);
    lua_pushcfunction(lua, no_such_global);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
}

/* Of the full table `redis`, what needs no running command. */
static void push_redis_of_loading(lua_State *lua, struct function_set *set)
{
    static const char *const names[] = {"log",         "LOG_DEBUG",     "LOG_VERBOSE",      "LOG_NOTICE",
                                        "LOG_WARNING", "REDIS_VERSION", "REDIS_VERSION_NUM"};
    lua_createtable(lua, 0, 16);
    lua_getfield(lua, lua_upvalueindex(UPVALUE_GLOBALS), "redis");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_getfield(lua, -1, names[i]);
        lua_setfield(lua, -3, names[i]);
    }
    lua_pop(lua, 1);
    lua_pushlightuserdata(lua, set);
    lua_pushcclosure(lua, function_register, 1);
    lua_setfield(lua, -2, "register_function");
    forbid_unknown(lua);
    script_protect(lua);
}

/* What functions have never had, unlike EVAL's scripts. */
static void hide_from_functions(lua_State *lua)
{
    static const char *const names[] = {"breakpoint", "debug", "replicate_commands"};
    lua_getglobal(lua, "redis");
    CHECK(script_protected(lua, -1)); /* pushed: the table itself */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_pushnil(lua);
        lua_setfield(lua, -2, names[i]);
    }
    lua_pop(lua, 2);
}

static void prepare(lua_State *lua, void *arg)
{
    struct function_set *set = arg;
    hide_from_functions(lua);
    script_sandbox_close(lua);

    lua_createtable(lua, 0, 2);
    push_redis_of_loading(lua, set);
    lua_pushvalue(lua, -1);
    lua_setfield(lua, -3, "redis");
    lua_setfield(lua, -2, "server");
    forbid_unknown(lua);
    set->load_globals = luaL_ref(lua, LUA_REGISTRYINDEX);

    lua_pushvalue(lua, lua_upvalueindex(UPVALUE_GLOBALS));
    script_protect(lua);
    set->environment = luaL_ref(lua, LUA_REGISTRYINDEX);
}

int function_sandbox_prepare(struct function_set *set)
{
    struct script_error error;
    int status = script_vm_enter(set->vm, prepare, set, &error);
    script_vm_leave(set->vm);
    return status;
}

/* --- names that are bound --- */

/* Variables that all functions of the library share: what they stand for changes when it has been loaded. */
static const char shared_names[] =
    "local redis,redis_call,redis_pcall;"
    "redis,redis_call,redis_pcall=(...)(function(a,b,c)redis,redis_call,redis_pcall=a,b,c end);";

/* The code behind these; ptr NULL: it may mean something else by such a name, or see what is given to ours. */
static struct bytes with_shared_names(struct bytes code)
{
    uint32_t uses;
    if (!script_may_have_locals(code)) return (struct bytes){0};
    struct bytes bound = script_bind_names(code, &uses);
    if (!bound.ptr) return bound;
    size_t first = sizeof shared_names - 1;
    uint8_t *both = mem_alloc(first + bound.len);
    memcpy(both, shared_names, first);
    memcpy(both + first, bound.ptr, bound.len);
    mem_free((void *)bound.ptr);
    return bytes_make(both, first + bound.len);
}

static int no_call_yet(lua_State *lua)
{
    return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'",
                      lua_tostring(lua, lua_upvalueindex(1)));
}

/* Called by what stands in front of a library's code, with the function that sets the variables: it is kept until the
 * library has been loaded. What they are until then. */
static int share_names(lua_State *lua)
{
    struct function_set *set = lua_touserdata(lua, lua_upvalueindex(1));
    set->share = luaL_ref(lua, LUA_REGISTRYINDEX);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, set->load_globals);
    lua_getfield(lua, -1, "redis");
    lua_pushliteral(lua, "call");
    lua_pushcclosure(lua, no_call_yet, 1);
    lua_pushliteral(lua, "pcall");
    lua_pushcclosure(lua, no_call_yet, 1);
    return 3;
}

static void share_full_names(lua_State *lua, struct function_set *set)
{
    if (set->share == LUA_NOREF) return;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, set->share);
    luaL_unref(lua, LUA_REGISTRYINDEX, set->share);
    set->share = LUA_NOREF;
    lua_pushvalue(lua, lua_upvalueindex(UPVALUE_REDIS));
    lua_pushvalue(lua, lua_upvalueindex(UPVALUE_CALL));
    lua_pushvalue(lua, lua_upvalueindex(UPVALUE_PCALL));
    lua_call(lua, 3, 0);
}

/* --- loading --- */

/* What the environment on top of the stack stands for from now on: the table beneath it. */
static void stand_for(lua_State *lua)
{
    lua_getmetatable(lua, -1);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    lua_pop(lua, 3);
}

static void use_load_globals(lua_State *lua, const struct function_set *set)
{
    lua_rawgeti(lua, LUA_REGISTRYINDEX, set->load_globals);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, set->environment);
    stand_for(lua);
}

static void use_full_globals(lua_State *lua, void *arg)
{
    struct function_set *set = arg;
    share_full_names(lua, set);
    lua_pushvalue(lua, lua_upvalueindex(UPVALUE_GLOBALS));
    lua_rawgeti(lua, LUA_REGISTRYINDEX, set->environment);
    stand_for(lua);
}

static void stop_for_ever(lua_State *lua, lua_Debug *where)
{
    (void)where;
    script_raise(lua, "ERR FUNCTION LOAD timeout");
}

static void stop_late_load(lua_State *lua, lua_Debug *where)
{
    script_watchdog_stop_with(lua, stop_for_ever);
    stop_for_ever(lua, where);
}

struct load {
    struct function_set *set;
    struct bytes code, rewritten, bound; /* ptr NULL: not so */
    int64_t timeout_ms;
    char *error;
    bool compiled;
};

static void run_code(lua_State *lua, void *arg)
{
    struct load *load = arg;
    bool bound = load->bound.ptr && script_vm_compile(lua, load->bound, FUNCTION_SOURCE) == 0;
    load->compiled = bound || (load->rewritten.ptr && script_vm_compile(lua, load->rewritten, FUNCTION_SOURCE) == 0) ||
                     script_vm_compile(lua, load->code, FUNCTION_SOURCE) == 0;
    if (!load->compiled) {
        snprintf(load->error, LIBRARY_ERROR_BYTES, "Error compiling function: %s", lua_tostring(lua, -1));
        return;
    }
    lua_rawgeti(lua, LUA_REGISTRYINDEX, load->set->environment);
    lua_setfenv(lua, -2);
    use_load_globals(lua, load->set);
    script_watchdog_start(lua, load->timeout_ms, stop_late_load);
    if (bound) {
        lua_pushlightuserdata(lua, load->set);
        lua_pushcclosure(lua, share_names, 1);
    }
    lua_call(lua, bound, 0);
}

int function_sandbox_load(struct function_set *set, struct function_library *library, int64_t timeout_ms,
                          char error[LIBRARY_ERROR_BYTES])
{
    struct load load = {.set = set, .code = library->code, .timeout_ms = timeout_ms, .error = error};
    struct script_error failure;
    int line;
    struct script_watch outer = script_watchdog_suspend(); /* a snapshot may come while a script runs long */
    load.rewritten = script_translate(library->code, 1, &line);
    load.bound = with_shared_names(load.rewritten.ptr ? load.rewritten : library->code);
    set->loading = library;
    set->share = LUA_NOREF;
    set->vm->limit_bytes = script_heap_limit(set->engine);
    set->vm->source = FUNCTION_SOURCE;
    set->vm->line = line;
    int status = script_vm_enter(set->vm, run_code, &load, &failure);
    script_watchdog_resume(&outer);
    set->loading = NULL;
    if (status)
        snprintf(error, LIBRARY_ERROR_BYTES, "Error registering functions: %.*s", (int)failure.text.len,
                 (const char *)failure.text.ptr);
    script_vm_leave(set->vm);
    script_vm_enter(set->vm, use_full_globals, set, &failure);
    script_vm_leave(set->vm);
    mem_free((void *)load.rewritten.ptr);
    mem_free((void *)load.bound.ptr);
    return status || !load.compiled ? -1 : 0;
}
