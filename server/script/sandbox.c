/* See sandbox.h. Server process. */
#include "server/script/sandbox.h"

#include "server/base/number.h"
#include "server/script/lib_string.h"
#include "server/script/lib_table.h"
#include "server/script/protect.h"
#include "server/script/vm.h"
#include "server/script/watchdog.h"

#include <lauxlib.h>
#include <lualib.h>
#include <math.h>
#include <time.h>

/* --- functions that call back through C, and take much of its stack: as deep as it allows --- */

static int guarded(lua_State *lua)
{
    script_vm_check_stack(lua);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
    return lua_gettop(lua);
}

static int guarded_wrap(lua_State *lua)
{
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, lua_gettop(lua) - 1, 1);
    lua_pushcclosure(lua, guarded, 1);
    return 1;
}

static void guard_with(lua_State *lua, int table, const char *name, lua_CFunction guard)
{
    lua_getfield(lua, table, name);
    lua_pushcclosure(lua, guard, 1);
    lua_setfield(lua, table, name);
}

/* --- errors --- */

/* The error of a failed command is a table; who catches it sees its text alone, as before Redis 7. */
static int protected_call(lua_State *lua)
{
    luaL_checkany(lua, 1);
    script_vm_check_stack(lua);
    bool failed = lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0) != 0;
    if (failed && lua_istable(lua, -1)) {
        lua_pushliteral(lua, "err");
        lua_rawget(lua, -2);
        if (lua_isstring(lua, -1))
            lua_replace(lua, -2);
        else
            lua_pop(lua, 1);
    }
    lua_pushboolean(lua, !failed);
    lua_insert(lua, 1);
    return lua_gettop(lua);
}

/* The handler is called once the failed function has been left: inside it, no hook would run that could stop it. */
static int protected_call_handled(lua_State *lua)
{
    luaL_checkany(lua, 2);
    script_vm_check_stack(lua);
    lua_settop(lua, 2);
    lua_insert(lua, 1);
    bool failed = lua_pcall(lua, 0, LUA_MULTRET, 0) != 0;
    if (!failed) {
        lua_pushboolean(lua, true);
        lua_replace(lua, 1);
        return lua_gettop(lua);
    }
    lua_pushvalue(lua, 1);
    lua_insert(lua, 2);
    lua_pcall(lua, 1, 1, 0);
    lua_pushboolean(lua, false);
    lua_replace(lua, 1);
    return lua_gettop(lua);
}

/* --- code from text alone --- */

static int finish_load(lua_State *lua, int status)
{
    if (!status) return 1;
    lua_pushnil(lua);
    lua_insert(lua, -2);
    return 2;
}

static int load_string(lua_State *lua)
{
    size_t len;
    const char *text = luaL_checklstring(lua, 1, &len);
    return finish_load(lua, luaL_loadbufferx(lua, text, len, luaL_optstring(lua, 2, text), "t"));
}

/* All that the function on the stack returns until it returns nothing or "", as one text. */
static int read_all(lua_State *lua)
{
    luaL_Buffer text;
    luaL_buffinit(lua, &text);
    for (;;) {
        script_watchdog_poll(lua); /* the reader may be a function in C */
        lua_pushvalue(lua, 1);
        lua_call(lua, 0, 1);
        if (lua_isnil(lua, -1) || (lua_isstring(lua, -1) && !lua_objlen(lua, -1))) break;
        if (!lua_isstring(lua, -1)) return luaL_error(lua, "reader function must return a string");
        luaL_addvalue(&text);
    }
    lua_pop(lua, 1);
    luaL_pushresult(&text);
    return 1;
}

/* LuaJIT, left by an error of a hook while it compiles, calls no hooks any more: so the text is read before. */
static int load(lua_State *lua)
{
    size_t len;
    luaL_checktype(lua, 1, LUA_TFUNCTION);
    script_vm_check_stack(lua);
    const char *name = luaL_optstring(lua, 2, "=(load)");
    lua_pushcfunction(lua, read_all);
    lua_pushvalue(lua, 1);
    if (lua_pcall(lua, 1, 1, 0)) return finish_load(lua, -1);
    const char *text = lua_tolstring(lua, -1, &len);
    return finish_load(lua, luaL_loadbufferx(lua, text, len, name, "t"));
}

/* --- time, chance, memory --- */

static int clock_s(lua_State *lua)
{
    lua_pushnumber(lua, (double)clock() / (double)CLOCKS_PER_SEC);
    return 1;
}

static int open_os(lua_State *lua)
{
    lua_createtable(lua, 0, 1);
    lua_pushcfunction(lua, clock_s);
    lua_setfield(lua, -2, "clock");
    return 1;
}

/* The linear congruential generator of POSIX's lrand48(), as scripts have always found it. */
static uint64_t random_state = 0x1234abcd330e; /* goes on from script to script, until one seeds it */

static void seed(uint32_t value)
{
    random_state = (uint64_t)value << 16 | 0x330e;
}

static double random_fraction(void)
{
    random_state = (random_state * 0x5deece66du + 0xb) & ((UINT64_C(1) << 48) - 1);
    return (double)((random_state >> 17) % INT32_MAX) / (double)INT32_MAX;
}

static int random_number(lua_State *lua)
{
    double fraction = random_fraction();
    switch (lua_gettop(lua)) {
    case 0: lua_pushnumber(lua, fraction); break;
    case 1: {
        int most = luaL_checkint(lua, 1);
        luaL_argcheck(lua, 1 <= most, 1, "interval is empty");
        lua_pushnumber(lua, floor(fraction * most) + 1);
        break;
    }
    case 2: {
        int least = luaL_checkint(lua, 1), most = luaL_checkint(lua, 2);
        luaL_argcheck(lua, least <= most, 2, "interval is empty");
        lua_pushnumber(lua, floor(fraction * ((double)most - least + 1)) + least);
        break;
    }
    default: return luaL_error(lua, "wrong number of arguments");
    }
    return 1;
}

/* LuaJIT's has the base of the logarithm as its second argument, which Lua 5.1 passes over. */
static int logarithm(lua_State *lua)
{
    lua_pushnumber(lua, log(luaL_checknumber(lua, 1)));
    return 1;
}

static int random_seed(lua_State *lua)
{
    seed((uint32_t)luaL_checkint(lua, 1));
    return 0;
}

/* A collector that a script has stopped would be stopped for all that come after it. */
static int collect_garbage(lua_State *lua)
{
    static const char *const options[] = {"collect", "count",    "step",       "stop",
                                          "restart", "setpause", "setstepmul", NULL};
    switch (luaL_checkoption(lua, 1, "collect", options)) {
    case 0: lua_pushinteger(lua, lua_gc(lua, LUA_GCCOLLECT, 0)); break;
    case 1: lua_pushnumber(lua, (double)script_vm_of(lua)->bytes / 1024); break;
    case 2: lua_pushboolean(lua, lua_gc(lua, LUA_GCSTEP, luaL_optint(lua, 2, 0))); break;
    default: lua_pushinteger(lua, 0);
    }
    return 1;
}

static int collected_kib(lua_State *lua)
{
    lua_pushinteger(lua, lua_gc(lua, LUA_GCCOUNT, 0));
    return 1;
}

static int set_length(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    return luaL_error(lua, "'setn' is obsolete");
}

/* --- putting it together --- */

static void open_library(lua_State *lua, const char *name, lua_CFunction open)
{
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

static void remove_fields(lua_State *lua, int table, const char *const *names)
{
    for (; *names; names++) {
        lua_pushnil(lua);
        lua_setfield(lua, table, *names);
    }
}

static void set_functions(lua_State *lua, int table, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushcfunction(lua, functions->func);
        lua_setfield(lua, table, functions->name);
    }
}

static void copy_field(lua_State *lua, int table, const char *from, const char *to)
{
    lua_getfield(lua, table, from);
    lua_setfield(lua, table, to);
}

static void bind_base(lua_State *lua, int globals)
{
    static const char *const removed[] = {"dofile",  "loadfile", "print",   "newproxy", "getfenv",
                                          "setfenv", "module",   "require", "package",  NULL};
    static const luaL_Reg replaced[] = {{"pcall", protected_call},
                                        {"xpcall", protected_call_handled},
                                        {"load", load},
                                        {"loadstring", load_string},
                                        {"collectgarbage", collect_garbage},
                                        {"gcinfo", collected_kib},
                                        {NULL, NULL}};
    remove_fields(lua, globals, removed);
    set_functions(lua, globals, replaced);
}

static void bind_libraries(lua_State *lua, int globals)
{
    static const luaL_Reg math[] = {
        {"random", random_number}, {"randomseed", random_seed}, {"log", logarithm}, {NULL, NULL}};
    static const luaL_Reg table[] = {{"setn", set_length}, {NULL, NULL}};
    static const char *const coroutine_removed[] = {"isyieldable", NULL}, *const table_removed[] = {"move", NULL};
    lua_getfield(lua, globals, "coroutine");
    guard_with(lua, globals + 1, "resume", guarded);
    guard_with(lua, globals + 1, "wrap", guarded_wrap);
    remove_fields(lua, globals + 1, coroutine_removed);
    lua_getfield(lua, globals, "string");
    script_set_string_functions(lua, globals + 2);
    lua_getfield(lua, globals, "table");
    remove_fields(lua, globals + 3, table_removed);
    set_functions(lua, globals + 3, table);
    script_set_table_functions(lua, globals + 3);
    lua_getfield(lua, globals, "math");
    copy_field(lua, globals + 4, "fmod", "mod"); /* a name of Lua 5.0 that 5.1 still has */
    set_functions(lua, globals + 4, math);
    script_protect_functions(lua, globals, globals + 3);
    lua_settop(lua, globals);
}

/* ("").name finds the library's functions without the protected table, which would be a step more. */
static void protect_strings(lua_State *lua)
{
    lua_pushliteral(lua, "");
    lua_getmetatable(lua, -1);
    lua_newtable(lua);
    script_protect(lua);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 2);
}

void script_sandbox_open(lua_State *lua)
{
    open_library(lua, "", luaopen_base);
    open_library(lua, LUA_STRLIBNAME, luaopen_string);
    open_library(lua, LUA_TABLIBNAME, luaopen_table);
    open_library(lua, LUA_MATHLIBNAME, luaopen_math);
    open_library(lua, LUA_BITLIBNAME, luaopen_bit);
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    int globals = lua_gettop(lua);
    bind_base(lua, globals);
    bind_libraries(lua, globals);
    protect_strings(lua);
    static const char *const libraries[] = {LUA_STRLIBNAME, LUA_TABLIBNAME, LUA_MATHLIBNAME, LUA_BITLIBNAME,
                                            LUA_COLIBNAME};
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        lua_getfield(lua, globals, libraries[i]);
        script_protect(lua);
        lua_setfield(lua, globals, libraries[i]);
    }
    lua_settop(lua, globals - 1);
    script_sandbox_add(lua, "os", open_os);
}

void script_sandbox_add(lua_State *lua, const char *name, lua_CFunction open)
{
    lua_pushcfunction(lua, open);
    lua_call(lua, 0, 1);
    script_protect(lua);
    lua_setglobal(lua, name);
}

static int no_such_global(lua_State *lua)
{
    const char *name = lua_tostring(lua, 2);
    return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'", name ? name : "?");
}

void script_sandbox_close(lua_State *lua)
{
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    lua_createtable(lua, 0, 1);
    lua_pushcfunction(lua, no_such_global);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
    lua_pushvalue(lua, -1);
    script_protect(lua);
    lua_pushvalue(lua, -1);
    lua_setfield(lua, -3, "_G");
    lua_replace(lua, LUA_GLOBALSINDEX);
    lua_pop(lua, 1);
}
