/* Lua values to MessagePack. Server process.
 *
 * Each value takes the shortest form that holds it, as the specification advises. A table is an array if its keys are 1
 * to n without a gap, else a map; past MAX_NESTING a table becomes nil, and so does what
 * MessagePack has no word for. */
#include "server/script/msgpack.h"
#include "server/script/watchdog.h"

#include <math.h>

#include <lauxlib.h>

#define MAX_NESTING      16
#define STACK_EACH_LEVEL 4
#define HEAD_BYTES_MAX   9
#define INT64_ABOVE      9223372036854775808.0 /* 2^63, the first double past int64_t */

struct packing {
    lua_State *lua;
    struct text_buffer *out;
    uint32_t values; /* so many are packed */
};

static void pack_value(struct packing *p, int nesting);

/* The tag, then the value's low `bytes` bytes, most significant first. */
static void put_tagged(struct packing *p, uint8_t tag, uint64_t value, size_t bytes)
{
    char head[HEAD_BYTES_MAX];
    head[0] = (char)tag;
    for (size_t i = bytes; i > 0; i--, value >>= 8) head[i] = (char)value;
    text_buffer_put(p->lua, p->out, head, bytes + 1);
}

static void pack_string(struct packing *p)
{
    size_t len;
    const char *bytes = lua_tolstring(p->lua, -1, &len);
    if (len < 32)
        put_tagged(p, (uint8_t)(MSGPACK_FIXSTR | len), 0, 0);
    else if (len <= UINT8_MAX)
        put_tagged(p, MSGPACK_STR8, len, 1);
    else if (len <= UINT16_MAX)
        put_tagged(p, MSGPACK_STR16, len, 2);
    else
        put_tagged(p, MSGPACK_STR32, len, 4); /* the buffer takes none of 4 GB */
    text_buffer_put(p->lua, p->out, bytes, len);
}

static void pack_positive(struct packing *p, uint64_t value)
{
    if (value < 0x80)
        put_tagged(p, (uint8_t)value, 0, 0);
    else if (value <= UINT8_MAX)
        put_tagged(p, MSGPACK_UINT8, value, 1);
    else if (value <= UINT16_MAX)
        put_tagged(p, MSGPACK_UINT16, value, 2);
    else if (value <= UINT32_MAX)
        put_tagged(p, MSGPACK_UINT32, value, 4);
    else
        put_tagged(p, MSGPACK_UINT64, value, 8);
}

static void pack_negative(struct packing *p, int64_t value)
{
    if (value >= -32)
        put_tagged(p, (uint8_t)value, 0, 0);
    else if (value >= INT8_MIN)
        put_tagged(p, MSGPACK_INT8, (uint64_t)value, 1);
    else if (value >= INT16_MIN)
        put_tagged(p, MSGPACK_INT16, (uint64_t)value, 2);
    else if (value >= INT32_MIN)
        put_tagged(p, MSGPACK_INT32, (uint64_t)value, 4);
    else
        put_tagged(p, MSGPACK_INT64, (uint64_t)value, 8);
}

static void pack_float(struct packing *p, double value)
{
    float single = (float)value;
    if ((double)single == value) {
        uint32_t bits;
        memcpy(&bits, &single, sizeof bits);
        put_tagged(p, MSGPACK_FLOAT32, bits, 4);
    } else {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        put_tagged(p, MSGPACK_FLOAT64, bits, 8);
    }
}

static void pack_number(struct packing *p)
{
    double value = lua_tonumber(p->lua, -1);
    bool whole = value >= -INT64_ABOVE && value < INT64_ABOVE && value == trunc(value);
    if (!whole)
        pack_float(p, value);
    else if (value >= 0)
        pack_positive(p, (uint64_t)value);
    else
        pack_negative(p, (int64_t)value);
}

/* Of the table on top. */
static size_t count_entries(lua_State *lua, bool *is_array)
{
    size_t count = 0;
    double max = 0;
    *is_array = true;
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
        count++;
        double key = lua_type(lua, -2) == LUA_TNUMBER ? lua_tonumber(lua, -2) : 0;
        if (!(key >= 1) || key != trunc(key)) *is_array = false;
        if (key > max) max = key;
    }
    if (max != (double)count) *is_array = false;
    return count;
}

static void put_count(struct packing *p, size_t count, uint8_t few, uint8_t two_bytes)
{
    if (count < 16)
        put_tagged(p, (uint8_t)(few | count), 0, 0);
    else if (count <= UINT16_MAX)
        put_tagged(p, two_bytes, count, 2);
    else
        put_tagged(p, (uint8_t)(two_bytes + 1), count, 4);
}

static void pack_array(struct packing *p, size_t count, int nesting)
{
    put_count(p, count, MSGPACK_FIXARRAY, MSGPACK_ARRAY16);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(p->lua, -1, (int)i);
        pack_value(p, nesting);
        lua_pop(p->lua, 1);
    }
}

static void pack_map(struct packing *p, size_t count, int nesting)
{
    put_count(p, count, MSGPACK_FIXMAP, MSGPACK_MAP16);
    for (lua_pushnil(p->lua); lua_next(p->lua, -2); lua_pop(p->lua, 1)) {
        lua_pushvalue(p->lua, -2);
        pack_value(p, nesting);
        lua_pop(p->lua, 1);
        pack_value(p, nesting);
    }
}

static void pack_table(struct packing *p, int nesting)
{
    if (nesting == MAX_NESTING) {
        put_tagged(p, MSGPACK_NIL, 0, 0);
        return;
    }
    script_watchdog_poll(p->lua); /* a table may have many places and no values, and stand in another many times */
    luaL_checkstack(p->lua, STACK_EACH_LEVEL, "in function cmsgpack.pack");
    bool is_array;
    size_t count = count_entries(p->lua, &is_array);
    if (is_array)
        pack_array(p, count, nesting + 1);
    else
        pack_map(p, count, nesting + 1);
}

/* The value on top. */
static void pack_value(struct packing *p, int nesting)
{
    script_watchdog_poll_sometimes(p->lua, &p->values);
    switch (lua_type(p->lua, -1)) {
    case LUA_TSTRING: pack_string(p); return;
    case LUA_TNUMBER: pack_number(p); return;
    case LUA_TBOOLEAN: put_tagged(p, lua_toboolean(p->lua, -1) ? MSGPACK_TRUE : MSGPACK_FALSE, 0, 0); return;
    case LUA_TTABLE: pack_table(p, nesting); return;
    default: put_tagged(p, MSGPACK_NIL, 0, 0); return;
    }
}

void msgpack_pack(lua_State *lua, struct text_buffer *out, int index)
{
    struct packing p = {lua, out, 0};
    lua_pushvalue(lua, index);
    pack_value(&p, 0);
    lua_pop(lua, 1);
}
