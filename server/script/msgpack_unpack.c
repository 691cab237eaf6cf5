/* MessagePack to Lua values. Server process.
 *
 * Every byte is hostile: a length is believed only as far as there are bytes,
 * and the depth is bounded by Lua's stack. */
#include "server/script/msgpack.h"
#include "server/script/watchdog.h"

#include <lauxlib.h>

#define STACK_EACH_LEVEL 2
#define PRESIZED_MAX     64 /* elements: a table's announced length costs no more before they come */

static void truncated(lua_State *lua)
{
    luaL_error(lua, "Missing bytes in input.");
}

static const uint8_t *take(lua_State *lua, struct msgpack_input *in, size_t bytes)
{
    if (bytes > in->left) truncated(lua);
    const uint8_t *at = in->at;
    in->at += bytes;
    in->left -= bytes;
    return at;
}

static uint64_t take_number(lua_State *lua, struct msgpack_input *in, size_t bytes)
{
    const uint8_t *at = take(lua, in, bytes);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) value = value << 8 | at[i];
    return value;
}

static void push_string(lua_State *lua, struct msgpack_input *in, size_t len)
{
    lua_pushlstring(lua, (const char *)take(lua, in, len), len);
}

static size_t presized(const struct msgpack_input *in, size_t count)
{
    if (count > in->left) count = in->left;
    return count < PRESIZED_MAX ? count : PRESIZED_MAX;
}

static void push_array(lua_State *lua, struct msgpack_input *in, size_t count)
{
    luaL_checkstack(lua, STACK_EACH_LEVEL, "in function mp_decode_to_lua_array");
    lua_createtable(lua, (int)presized(in, count), 0);
    for (size_t i = 1; i <= count; i++) {
        lua_pushnumber(lua, (lua_Number)i);
        msgpack_unpack(lua, in);
        lua_rawset(lua, -3);
    }
}

static void push_map(lua_State *lua, struct msgpack_input *in, size_t count)
{
    luaL_checkstack(lua, STACK_EACH_LEVEL, "in function mp_decode_to_lua_hash");
    lua_createtable(lua, 0, (int)presized(in, count));
    for (size_t i = 0; i < count; i++) {
        msgpack_unpack(lua, in);
        msgpack_unpack(lua, in);
        lua_settable(lua, -3); /* raises the error for a key that is nil or NaN */
    }
}

static void push_float32(lua_State *lua, uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    lua_pushnumber(lua, value);
}

static void push_float64(lua_State *lua, uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    /* The bits of a NaN come from the script's input; Lua gets the one NaN that it makes itself. */
    if (value != value) value = 0.0 / 0.0;
    lua_pushnumber(lua, value);
}

/* Those whose first byte holds the value or its length. false: another tag. */
static bool push_short(lua_State *lua, struct msgpack_input *in, uint8_t tag)
{
    if (tag < MSGPACK_FIXMAP)
        lua_pushinteger(lua, tag);
    else if (tag >= MSGPACK_NEGATIVE_FIXINT)
        lua_pushinteger(lua, (int8_t)tag);
    else if (tag < MSGPACK_FIXARRAY)
        push_map(lua, in, tag & 15);
    else if (tag < MSGPACK_FIXSTR)
        push_array(lua, in, tag & 15);
    else if (tag < MSGPACK_NIL)
        push_string(lua, in, tag & 31);
    else
        return false;
    return true;
}

void msgpack_unpack(lua_State *lua, struct msgpack_input *in)
{
    luaL_checkstack(lua, 1, "too many return values at once; use unpack_one or unpack_limit instead.");
    script_watchdog_poll_sometimes(lua, &in->values);
    uint8_t tag = *take(lua, in, 1);
    if (push_short(lua, in, tag)) return;
    switch (tag) {
    case MSGPACK_NIL: lua_pushnil(lua); return;
    case MSGPACK_FALSE: lua_pushboolean(lua, 0); return;
    case MSGPACK_TRUE: lua_pushboolean(lua, 1); return;
    case MSGPACK_FLOAT32: push_float32(lua, (uint32_t)take_number(lua, in, 4)); return;
    case MSGPACK_FLOAT64: push_float64(lua, take_number(lua, in, 8)); return;
    case MSGPACK_UINT8: lua_pushinteger(lua, (uint8_t)take_number(lua, in, 1)); return;
    case MSGPACK_UINT16: lua_pushinteger(lua, (uint16_t)take_number(lua, in, 2)); return;
    case MSGPACK_UINT32: lua_pushinteger(lua, (uint32_t)take_number(lua, in, 4)); return;
    case MSGPACK_UINT64: /* from 2^63 on negative, as in Redis, whose Lua has no unsigned integer */
    case MSGPACK_INT64: lua_pushinteger(lua, (int64_t)take_number(lua, in, 8)); return;
    case MSGPACK_INT8: lua_pushinteger(lua, (int8_t)take_number(lua, in, 1)); return;
    case MSGPACK_INT16: lua_pushinteger(lua, (int16_t)take_number(lua, in, 2)); return;
    case MSGPACK_INT32: lua_pushinteger(lua, (int32_t)take_number(lua, in, 4)); return;
    case MSGPACK_STR8: push_string(lua, in, take_number(lua, in, 1)); return;
    case MSGPACK_STR16: push_string(lua, in, take_number(lua, in, 2)); return;
    case MSGPACK_STR32: push_string(lua, in, take_number(lua, in, 4)); return;
    case MSGPACK_ARRAY16: push_array(lua, in, take_number(lua, in, 2)); return;
    case MSGPACK_ARRAY32: push_array(lua, in, take_number(lua, in, 4)); return;
    case MSGPACK_MAP16: push_map(lua, in, take_number(lua, in, 2)); return;
    case MSGPACK_MAP32: push_map(lua, in, take_number(lua, in, 4)); return;
    default: luaL_error(lua, "Bad data format in input.");
    }
}
