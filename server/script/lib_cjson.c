/* The library `cjson` of the script sandbox: its functions and what they can be told. Server process.
 *
 * Names, defaults and errors are lua-cjson 2.1.0's. What a script sets stays set for the next ones, as in Redis.
 * decode_array_with_array_mt is from its successor: with it on, a decoded array stays one, even an empty one. */
#include "server/script/lib_cjson.h"

#include <limits.h>

#include <lauxlib.h>

#include "server/script/json.h"

#define MAX_DEPTH_DEFAULT 1000
#define PRECISION_MAX     14

static const char array_mark; /* its address is the metatable's key in the registry */

void json_push_array_mark(lua_State *lua)
{
    lua_pushlightuserdata(lua, (void *)&array_mark);
    lua_rawget(lua, LUA_REGISTRYINDEX);
}

static struct json_state *state_of(lua_State *lua)
{
    return lua_touserdata(lua, lua_upvalueindex(1));
}

static int encode(lua_State *lua)
{
    luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
    json_encode(lua, state_of(lua), 1);
    return 1;
}

static int decode(lua_State *lua)
{
    luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
    size_t len;
    const char *text = luaL_checklstring(lua, 1, &len);
    if (len >= 2 && (!text[0] || !text[1])) return luaL_error(lua, "JSON parser does not support UTF-16 or UTF-32");
    json_decode(lua, state_of(lua), text);
    return 1;
}

/* --- settings: each returns what is set, after an argument that is not nil has set it ---- */

static void take_arguments(lua_State *lua, int count)
{
    luaL_argcheck(lua, lua_gettop(lua) <= count, count + 1, "found too many arguments");
    lua_settop(lua, count);
}

/* Returned by number, so that a caller can hold it in what it likes. A fault is always put on the first argument. */
static int whole_setting(lua_State *lua, int index, int setting, int min, int max)
{
    if (!lua_isnil(lua, index)) {
        lua_Integer value = luaL_checkinteger(lua, index);
        if (value < min || value > max)
            luaL_argerror(lua, 1, lua_pushfstring(lua, "expected integer between %d and %d", min, max));
        setting = (int)value;
    }
    lua_pushinteger(lua, setting);
    return setting;
}

/* One of `options`; a boolean stands for the first two, off and on, and they are returned as one. */
static int chosen_setting(lua_State *lua, int index, int setting, const char *const options[])
{
    if (lua_isboolean(lua, index))
        setting = lua_toboolean(lua, index);
    else if (!lua_isnil(lua, index))
        setting = luaL_checkoption(lua, index, NULL, options);
    if (setting <= 1)
        lua_pushboolean(lua, setting);
    else
        lua_pushstring(lua, options[setting]);
    return setting;
}

static bool switch_setting(lua_State *lua, int index, bool setting)
{
    static const char *const options[] = {"off", "on", NULL};
    return chosen_setting(lua, index, setting, options);
}

static int encode_sparse_array(lua_State *lua)
{
    struct json_state *s = state_of(lua);
    take_arguments(lua, 3);
    s->sparse_convert = switch_setting(lua, 1, s->sparse_convert);
    s->sparse_ratio = whole_setting(lua, 2, s->sparse_ratio, 0, INT_MAX);
    s->sparse_safe = whole_setting(lua, 3, s->sparse_safe, 0, INT_MAX);
    return 3;
}

/* Of a function that has no other. */
static int only_setting(lua_State *lua, int *setting, int max)
{
    take_arguments(lua, 1);
    *setting = whole_setting(lua, 1, *setting, 1, max);
    return 1;
}

static int encode_max_depth(lua_State *lua)
{
    return only_setting(lua, &state_of(lua)->encode_max_depth, INT_MAX);
}

static int decode_max_depth(lua_State *lua)
{
    return only_setting(lua, &state_of(lua)->decode_max_depth, INT_MAX);
}

static int encode_number_precision(lua_State *lua)
{
    return only_setting(lua, &state_of(lua)->precision, PRECISION_MAX);
}

static int encode_keep_buffer(lua_State *lua)
{
    struct json_state *s = state_of(lua);
    take_arguments(lua, 1);
    s->keep_buffer = switch_setting(lua, 1, s->keep_buffer);
    if (!s->keep_buffer) text_buffer_free(lua, &s->buffer);
    return 1;
}

static int encode_invalid_numbers(lua_State *lua)
{
    static const char *const options[] = {"off", "on", "null", NULL};
    struct json_state *s = state_of(lua);
    take_arguments(lua, 1);
    s->encode_invalid = (enum json_invalid)chosen_setting(lua, 1, (int)s->encode_invalid, options);
    return 1;
}

static int decode_invalid_numbers(lua_State *lua)
{
    struct json_state *s = state_of(lua);
    take_arguments(lua, 1);
    s->decode_invalid = switch_setting(lua, 1, s->decode_invalid);
    return 1;
}

static int decode_array_with_array_mt(lua_State *lua)
{
    struct json_state *s = state_of(lua);
    take_arguments(lua, 1);
    s->mark_arrays = switch_setting(lua, 1, s->mark_arrays);
    return 1;
}

static const luaL_Reg functions[] = {
    {"encode", encode},
    {"decode", decode},
    {"encode_sparse_array", encode_sparse_array},
    {"encode_max_depth", encode_max_depth},
    {"decode_max_depth", decode_max_depth},
    {"encode_number_precision", encode_number_precision},
    {"encode_keep_buffer", encode_keep_buffer},
    {"encode_invalid_numbers", encode_invalid_numbers},
    {"decode_invalid_numbers", decode_invalid_numbers},
    {"decode_array_with_array_mt", decode_array_with_array_mt},
    {"new", script_open_cjson},
    {NULL, NULL},
};

/* The mark is one for all instances. No script gets hold of it (__metatable), so none can put anything into it. */
static void make_array_mark(lua_State *lua)
{
    json_push_array_mark(lua);
    bool there = !lua_isnil(lua, -1);
    lua_pop(lua, 1);
    if (there) return;
    lua_pushlightuserdata(lua, (void *)&array_mark);
    lua_createtable(lua, 0, 1);
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_rawset(lua, LUA_REGISTRYINDEX);
}

static void push_state(lua_State *lua)
{
    struct json_state *s = text_buffer_owner(lua, sizeof *s);
    s->encode_max_depth = s->decode_max_depth = MAX_DEPTH_DEFAULT;
    s->sparse_ratio = 2;
    s->sparse_safe = 10;
    s->precision = PRECISION_MAX;
    s->decode_invalid = s->keep_buffer = true;
}

int script_open_cjson(lua_State *lua)
{
    make_array_mark(lua);
    lua_newtable(lua);
    push_state(lua);
    for (const luaL_Reg *f = functions; f->name; f++) {
        lua_pushvalue(lua, -1);
        lua_pushcclosure(lua, f->func, 1);
        lua_setfield(lua, -3, f->name);
    }
    lua_pop(lua, 1);
    lua_pushlightuserdata(lua, NULL);
    lua_setfield(lua, -2, "null");
    lua_pushliteral(lua, "cjson");
    lua_setfield(lua, -2, "_NAME");
    lua_pushliteral(lua, "2.1.0");
    lua_setfield(lua, -2, "_VERSION");
    return 1;
}
