/* The library `bit` of the script sandbox: Lua BitOp, which LuaJIT has within (http://bitop.luajit.org).
 * Server process. */
#include "server/script/lib_bit.h"

#include <stdint.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#define HEX_DIGITS_MAX 8
#define TO_LOW_BITS    6755399441055744.0 /* 2^52 + 2^51: added, it leaves a number's low 32 bits in the sum's */

/* As every argument of this library is taken: modulo 2^32, rounded to an even number where it has a fraction. */
static int32_t bits_of(lua_Number number)
{
    uint64_t sum_bits;
    double sum = number + TO_LOW_BITS;
    memcpy(&sum_bits, &sum, sizeof sum_bits);
    return (int32_t)(uint32_t)sum_bits;
}

/* BitOp's: at most eight digits, where LuaJIT's own would write any number of them. */
static int tohex(lua_State *lua)
{
    int32_t digits = lua_gettop(lua) < 2 ? HEX_DIGITS_MAX : bits_of(luaL_checknumber(lua, 2));
    if (digits > HEX_DIGITS_MAX) digits = HEX_DIGITS_MAX;
    if (digits < -HEX_DIGITS_MAX) digits = -HEX_DIGITS_MAX;
    luaL_checknumber(lua, 1);
    lua_pushvalue(lua, lua_upvalueindex(1)); /* LuaJIT's, for the digits */
    lua_pushvalue(lua, 1);
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
