/* See protect.h. Server process.
 *
 * The Lua inside Redis is changed so that a table can be made read-only; a library's is not. Here an empty table stands
 * for each protected one: it is read through its metatable's __index, which is the table itself, and a write to it
 * finds no such field and calls __newindex. The few functions that read or write behind metatables are given anew. */
#include "server/script/protect.h"

#include "server/script/watchdog.h"

#include <lauxlib.h>

static const char protected_mark; /* its address is the key that a metatable of ours has */

static int refuse_write(lua_State *lua)
{
    return luaL_error(lua, SCRIPT_READONLY_ERROR);
}

/* Without a position, as of Redis's functions that are C. */
static int refuse(lua_State *lua)
{
    lua_pushliteral(lua, SCRIPT_READONLY_ERROR);
    return lua_error(lua);
}

/* The metatable of what is on top; what a script sees of it is empty, and protected in turn. */
static void set_guard(lua_State *lua, int behind)
{
    lua_createtable(lua, 0, 4);
    lua_pushvalue(lua, behind);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, refuse_write);
    lua_setfield(lua, -2, "__newindex");
    lua_pushlightuserdata(lua, (void *)&protected_mark);
    lua_pushvalue(lua, behind);
    lua_rawset(lua, -3);
}

void script_protect(lua_State *lua)
{
    int behind = lua_gettop(lua);
    lua_newtable(lua);
    set_guard(lua, behind);
    lua_newtable(lua); /* what stands for the metatable */
    lua_newtable(lua);
    set_guard(lua, lua_gettop(lua));
    lua_pushboolean(lua, false);
    lua_setfield(lua, -2, "__metatable");
    lua_remove(lua, -2);
    lua_setmetatable(lua, -2);
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
    lua_replace(lua, behind);
}

bool script_protected(lua_State *lua, int index)
{
    if (!lua_istable(lua, index) || !lua_getmetatable(lua, index)) return false;
    lua_pushlightuserdata(lua, (void *)&protected_mark);
    lua_rawget(lua, -2);
    lua_remove(lua, -2);
    if (lua_istable(lua, -1)) return true;
    lua_pop(lua, 1);
    return false;
}

static int raw_set(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    luaL_checkany(lua, 3);
    if (script_protected(lua, 1)) return refuse(lua);
    lua_settop(lua, 3);
    lua_rawset(lua, 1);
    return 1;
}

static int raw_get(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    lua_settop(lua, 2);
    if (script_protected(lua, 1)) lua_replace(lua, 1);
    lua_rawget(lua, 1);
    return 1;
}

static int set_metatable(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_argcheck(lua, lua_isnoneornil(lua, 2) ? !lua_isnone(lua, 2) : lua_istable(lua, 2), 2, "nil or table expected");
    if (script_protected(lua, 1)) return refuse(lua);
    if (luaL_getmetafield(lua, 1, "__metatable")) return luaL_error(lua, "cannot change a protected metatable");
    lua_settop(lua, 2);
    lua_setmetatable(lua, 1);
    return 1;
}

/* --- walking --- */

static int next_protected(lua_State *lua)
{
    lua_settop(lua, 2);
    if (!script_protected(lua, 1)) return luaL_error(lua, "bad argument #1 to 'next'");
    lua_replace(lua, 1);
    if (lua_next(lua, 1)) return 2;
    lua_pushnil(lua);
    return 1;
}

/* The plain case gives back the real `next`, for which the interpreter has a faster loop. */
static int pairs(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    if (script_protected(lua, 1))
        lua_pushcfunction(lua, next_protected);
    else
        lua_pushvalue(lua, lua_upvalueindex(1));
    lua_pushvalue(lua, 1);
    lua_pushnil(lua);
    return 3;
}

/* As the library's, which would write behind the metatable. */
static int insert(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    if (script_protected(lua, 1)) return refuse(lua);
    int end = (int)lua_objlen(lua, 1) + 1, position = end;
    switch (lua_gettop(lua)) {
    case 2: break;
    case 3:
        position = luaL_checkint(lua, 2);
        if (position > end) end = position;
        for (int i = end; i > position; i--) {
            if (!(i & 1023)) script_watchdog_poll(lua);
            lua_rawgeti(lua, 1, i - 1);
            lua_rawseti(lua, 1, i);
        }
        break;
    default: return luaL_error(lua, "wrong number of arguments to 'insert'");
    }
    lua_rawseti(lua, 1, position);
    return 0;
}

void script_protect_functions(lua_State *lua, int globals, int table_library)
{
    static const struct luaL_Reg functions[] = {
        {"rawset", raw_set}, {"rawget", raw_get}, {"setmetatable", set_metatable}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        lua_pushcfunction(lua, functions[i].func);
        lua_setfield(lua, globals, functions[i].name);
    }
    lua_getfield(lua, globals, "next");
    lua_pushcclosure(lua, pairs, 1);
    lua_setfield(lua, globals, "pairs");
    lua_pushcfunction(lua, insert);
    lua_setfield(lua, table_library, "insert");
}
