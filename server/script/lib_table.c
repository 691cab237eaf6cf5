/* See lib_table.h. Server process.
 *
 * LuaJIT's sort takes a time that grows with the square of the length for an order made on purpose. A comparison that is
 * Lua code can be stopped; where there is none, or one in C, one of ours takes its place that looks at the watchdog. What
 * chooses is Lua code itself, so that errors find the caller and the name. */
#include "server/script/lib_table.h"

#include "server/base/check.h"
#include "server/script/watchdog.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#define SHORT_LENGTH 2000 /* its square is a matter of milliseconds */

static const char choose[] = "local sort, needs_polls, polling = ...\n"
                             "return function(...)\n"
                             "    local t, comes_before = ...\n"
                             "    if needs_polls(t, comes_before) then return sort(t, polling(comes_before)) end\n"
                             "    return sort(...)\n"
                             "end\n";

static int needs_polls(lua_State *lua)
{
    bool native =
        lua_isnil(lua, 2) ? lua_istable(lua, 1) && lua_objlen(lua, 1) > SHORT_LENGTH : lua_iscfunction(lua, 2);
    lua_pushboolean(lua, native);
    return 1;
}

static int compare(lua_State *lua)
{
    script_watchdog_poll(lua);
    if (lua_isnil(lua, lua_upvalueindex(1))) {
        lua_pushboolean(lua, lua_lessthan(lua, 1, 2));
        return 1;
    }
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, 2, 1);
    return 1;
}

static int polling(lua_State *lua)
{
    lua_settop(lua, 1);
    lua_pushcclosure(lua, compare, 1);
    return 1;
}

void script_set_table_functions(lua_State *lua, int table)
{
    CHECK(luaL_loadbuffer(lua, choose, strlen(choose), "=[C]") == 0);
    lua_getfield(lua, table, "sort");
    lua_pushcfunction(lua, needs_polls);
    lua_pushcfunction(lua, polling);
    lua_call(lua, 3, 1);
    lua_setfield(lua, table, "sort");
}
