/* The library `cmsgpack` of the script sandbox: pack, unpack, unpack_one, unpack_limit. Server process.
 *
 * Names, results and errors are those of the library that Redis's scripts have. */
#include "server/script/lib_cmsgpack.h"

#include <limits.h>

#include <lauxlib.h>

#include "server/script/msgpack.h"

static int pack(lua_State *lua)
{
    int count = lua_gettop(lua);
    if (!count) return luaL_argerror(lua, 0, "MessagePack pack needs input.");
    struct text_buffer *out = lua_touserdata(lua, lua_upvalueindex(1));
    out->len = 0;
    for (int i = 1; i <= count; i++) msgpack_pack(lua, out, i);
    text_buffer_push(lua, out, true);
    return 1;
}

/* Values from `offset` on, at most `limit` of them. With `where` the offset of the rest comes first, -1:
 * none is left. */
static int unpack_some(lua_State *lua, lua_Integer limit, lua_Integer offset, bool where)
{
    size_t len;
    const char *bytes = luaL_checklstring(lua, 1, &len);
    if (offset < 0 || limit < 0)
        return luaL_error(lua, "Invalid request to unpack with offset of %d and limit of %d.", (int)offset, (int)len);
    if ((size_t)offset > len)
        return luaL_error(lua, "Start offset %d greater than input length %d.", (int)offset, (int)len);
    struct msgpack_input in = {.at = (const uint8_t *)bytes + offset, .left = len - (size_t)offset};
    int count = 0;
    if (where) lua_pushnil(lua);
    int first = lua_gettop(lua);
    for (; in.left > 0 && count < limit; count++) msgpack_unpack(lua, &in);
    if (!where) return count;
    lua_pushinteger(lua, in.left ? (lua_Integer)(len - in.left) : -1);
    lua_replace(lua, first);
    return count + 1;
}

static int unpack(lua_State *lua)
{
    return unpack_some(lua, INT_MAX, 0, false);
}

static int unpack_one(lua_State *lua)
{
    return unpack_some(lua, 1, luaL_optinteger(lua, 2, 0), true);
}

/* Without limit and offset it is `unpack`. */
static int unpack_limit(lua_State *lua)
{
    lua_Integer limit = luaL_checkinteger(lua, 2);
    lua_Integer offset = luaL_optinteger(lua, 3, 0);
    if (limit == 0 && offset == 0) return unpack(lua);
    return unpack_some(lua, limit, offset, true);
}

static const luaL_Reg functions[] = {
    {"pack", pack}, {"unpack", unpack}, {"unpack_one", unpack_one}, {"unpack_limit", unpack_limit}, {NULL, NULL},
};

static void set_text(lua_State *lua, const char *name, const char *text)
{
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, name);
}

int script_open_cmsgpack(lua_State *lua)
{
    lua_newtable(lua);
    text_buffer_owner(lua, sizeof(struct text_buffer));
    for (const luaL_Reg *f = functions; f->name; f++) {
        lua_pushvalue(lua, -1);
        lua_pushcclosure(lua, f->func, 1);
        lua_setfield(lua, -3, f->name);
    }
    lua_pop(lua, 1);
    set_text(lua, "_NAME", "cmsgpack");
    set_text(lua, "_VERSION", "lua-cmsgpack 0.4.0");
    set_text(lua, "_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo");
    set_text(lua, "_DESCRIPTION", "MessagePack C implementation for Lua");
    return 1;
}
