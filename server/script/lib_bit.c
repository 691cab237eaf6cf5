/* The library `bit` of the script sandbox: Lua BitOp, which LuaJIT has within (http://bitop.luajit.org). Server process. */
#include "server/script/lib_bit.h"

#include <lauxlib.h>
#include <lualib.h>

#define HEX_DIGITS_MAX 8

/* BitOp's: at most eight digits, where LuaJIT's own would write any number of them. */
static int tohex(lua_State *lua)
{
    lua_settop(lua, 2);
    lua_pushvalue(lua, lua_upvalueindex(1)); /* LuaJIT's, for the digits */
    luaL_checknumber(lua, 1);
    lua_pushvalue(lua, 1);
    lua_Integer digits = luaL_optinteger(lua, 2, HEX_DIGITS_MAX);
    if (digits > HEX_DIGITS_MAX) digits = HEX_DIGITS_MAX;
    if (digits < -HEX_DIGITS_MAX) digits = -HEX_DIGITS_MAX;
    lua_pushinteger(lua, digits);
    lua_call(lua, 2, 1);
    return 1;
}

int script_open_bit(lua_State *lua)
{
    lua_pushcfunction(lua, luaopen_bit);
    lua_pushliteral(lua, LUA_BITLIBNAME);
    lua_call(lua, 1, 1);
    lua_getfield(lua, -1, "tohex");
    lua_pushcclosure(lua, tohex, 1);
    lua_setfield(lua, -2, "tohex");
    /* luaopen_bit leaves its table as a global, too; the engine says what is global. */
    lua_pushnil(lua);
    lua_setglobal(lua, LUA_BITLIBNAME);
    return 1;
}
