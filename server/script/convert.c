/* See convert.h. Server process. */
#include "server/script/convert.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/number.h"
#include "server/resp/reader.h"
#include "server/script/vm.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#define STACK_EACH_LEVEL 8                     /* of nested tables; the outermost has LUA_MINSTACK anyway */
#define I64_END          9223372036854775808.0 /* 2^63 */

/* --- RESP to Lua --- */

static size_t push_value(lua_State *lua, const uint8_t *at, const uint8_t *end);

static void push_text(lua_State *lua, struct bytes text)
{
    lua_pushlstring(lua, (const char *)text.ptr, text.len);
}

/* A table with the text as its only field. */
static void push_named(lua_State *lua, const char *name, struct bytes text)
{
    lua_createtable(lua, 0, 1);
    push_text(lua, text);
    lua_setfield(lua, -2, name);
}

static void push_error(lua_State *lua, struct bytes text)
{
    lua_createtable(lua, 0, 2);
    push_text(lua, text);
    lua_setfield(lua, -2, "err");
    lua_pushboolean(lua, true); /* whoever ran the command has counted it */
    lua_setfield(lua, -2, "ignore_error_stats_update");
}

static void push_double(lua_State *lua, struct bytes text)
{
    double value = 0;
    parse_double(text, &value);
    lua_createtable(lua, 0, 1);
    lua_pushnumber(lua, value);
    lua_setfield(lua, -2, "double");
}

/* "txt:" and the text. */
static void push_verbatim(lua_State *lua, struct bytes text)
{
    lua_createtable(lua, 0, 1);
    lua_createtable(lua, 0, 2);
    push_text(lua, bytes_make(text.ptr, 3));
    lua_setfield(lua, -2, "format");
    push_text(lua, bytes_make(text.ptr + 4, text.len - 4));
    lua_setfield(lua, -2, "string");
    lua_setfield(lua, -2, "verbatim_string");
}

static size_t push_array(lua_State *lua, int64_t count, const uint8_t *at, const uint8_t *end)
{
    const uint8_t *from = at;
    luaL_checkstack(lua, STACK_EACH_LEVEL, "a reply that is nested too deep");
    lua_createtable(lua, (int)count, 0);
    for (int64_t i = 1; i <= count; i++) {
        at += push_value(lua, at, end);
        lua_rawseti(lua, -2, (int)i);
    }
    return (size_t)(at - from);
}

/* Maps have a value behind each key, sets say that it is there. */
static size_t push_keyed(lua_State *lua, const char *name, int64_t count, bool is_map, const uint8_t *at,
                         const uint8_t *end)
{
    const uint8_t *from = at;
    luaL_checkstack(lua, STACK_EACH_LEVEL, "a reply that is nested too deep");
    lua_createtable(lua, 0, 1);
    lua_createtable(lua, 0, (int)count);
    for (int64_t i = 0; i < count; i++) {
        at += push_value(lua, at, end);
        if (is_map)
            at += push_value(lua, at, end);
        else
            lua_pushboolean(lua, true);
        if (lua_isnil(lua, -2))
            lua_pop(lua, 2);
        else
            lua_rawset(lua, -3);
    }
    lua_setfield(lua, -2, name);
    return (size_t)(at - from);
}

static void push_scalar(lua_State *lua, const struct resp_value *v)
{
    switch (v->type) {
    case RESP_SIMPLE: return push_named(lua, "ok", v->text);
    case RESP_ERROR_REPLY: return push_error(lua, v->text);
    case RESP_INTEGER: return lua_pushnumber(lua, (double)v->integer);
    case RESP_DOUBLE: return push_double(lua, v->text);
    case RESP_BOOLEAN: return lua_pushboolean(lua, v->integer != 0);
    case RESP_BIG_NUMBER: return push_named(lua, "big_number", v->text);
    case RESP_VERBATIM: return push_verbatim(lua, v->text);
    default: return push_text(lua, v->text);
    }
}

/* Returns the bytes of the value. They are our own server's words: what is broken is so by our fault. */
static size_t push_value(lua_State *lua, const uint8_t *at, const uint8_t *end)
{
    struct resp_value v;
    size_t head;
    CHECK(resp_reply_read(at, (size_t)(end - at), &v, &head) == RESP_COMPLETE);
    const uint8_t *next = at + head;
    if (v.null) {
        if (v.type == RESP_NULL)
            lua_pushnil(lua);
        else
            lua_pushboolean(lua, false);
        return head;
    }
    switch (v.type) {
    case RESP_ARRAY:
    case RESP_PUSH: return head + push_array(lua, v.integer, next, end);
    case RESP_MAP: return head + push_keyed(lua, "map", v.integer, true, next, end);
    case RESP_SET: return head + push_keyed(lua, "set", v.integer, false, next, end);
    case RESP_ATTRIBUTE: /* of the value behind it, and nothing that Lua has a word for */
        for (int64_t i = 0; i < 2 * v.integer; i++) {
            next += push_value(lua, next, end);
            lua_pop(lua, 1);
        }
        return (size_t)(next - at) + push_value(lua, next, end);
    default: push_scalar(lua, &v); return head;
    }
}

void script_push_reply(lua_State *lua, struct bytes encoded)
{
    push_value(lua, encoded.ptr, encoded.ptr + encoded.len);
}

/* --- Lua to RESP --- */

static bool write_value(lua_State *lua, struct reply *r, int protocol);

static struct bytes text_at(lua_State *lua, int index)
{
    size_t len;
    const char *text = lua_tolstring(lua, index, &len);
    return bytes_make(text, len);
}

/* Lines may not end in the middle of what is one line. */
static char *one_line(struct bytes text)
{
    char *line = mem_alloc(text.len + 1);
    for (size_t i = 0; i < text.len; i++)
        line[i] = text.ptr[i] == '\r' || text.ptr[i] == '\n' ? ' ' : (char)text.ptr[i];
    line[text.len] = 0;
    return line;
}

/* Line ends at its end are no part of an error. */
void script_reply_error(struct reply *reply, struct bytes text)
{
    while (text.len && (text.ptr[text.len - 1] == '\r' || text.ptr[text.len - 1] == '\n')) text.len--;
    char *line = one_line(text);
    reply_error(reply, line);
    mem_free(line);
}

static void write_status(struct reply *r, struct bytes text)
{
    char *line = one_line(text);
    reply_simple(r, line);
    mem_free(line);
}

static void write_big_number(struct reply *r, struct bytes text)
{
    char *line = one_line(text);
    reply_big_number(r, bytes_make(line, text.len));
    mem_free(line);
}

/* As the processor converts: what no integer can hold becomes the lowest one. */
static int64_t to_integer(double number)
{
    return number > -I64_END && number < I64_END ? (int64_t)number : INT64_MIN;
}

/* Metatables are not asked, for they may be a script's. */
static void push_field(lua_State *lua, int table, const char *name)
{
    lua_pushstring(lua, name);
    lua_rawget(lua, table);
}

/* Of the table on top: its field by that name is pushed when it has the wanted type. */
static bool has_field(lua_State *lua, int name, int type)
{
    lua_pushvalue(lua, lua_upvalueindex(name));
    lua_rawget(lua, -2);
    if (lua_type(lua, -1) == type) return true;
    lua_pop(lua, 1);
    return false;
}

static size_t count_pairs(lua_State *lua)
{
    size_t count = 0;
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) count++;
    return count;
}

/* The table on top stays. */
static void write_keyed(lua_State *lua, struct reply *r, int protocol, bool is_map)
{
    size_t count = count_pairs(lua);
    if (is_map)
        reply_map(r, count);
    else
        reply_set(r, count);
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, is_map ? 0 : 1)) {
        lua_pushvalue(lua, -2);
        write_value(lua, r, protocol);
        if (is_map) write_value(lua, r, protocol);
    }
}

static bool write_verbatim(lua_State *lua, struct reply *r)
{
    int table = lua_gettop(lua);
    push_field(lua, table, "string");
    push_field(lua, table, "format");
    bool complete = lua_type(lua, -1) == LUA_TSTRING && lua_type(lua, -2) == LUA_TSTRING;
    if (complete) {
        struct bytes given = text_at(lua, -1);
        char format[3] = {' ', ' ', ' '};
        memcpy(format, given.ptr, given.len < 3 ? given.len : 3);
        reply_verbatim(r, text_at(lua, -2), format);
    }
    lua_pop(lua, 2);
    return complete;
}

/* Elements up to the first nil. */
static void write_array(lua_State *lua, struct reply *r, int protocol)
{
    int count = 0;
    for (bool more = true; more; count += more) {
        lua_rawgeti(lua, -1, count + 1);
        more = !lua_isnil(lua, -1);
        lua_pop(lua, 1);
    }
    reply_array(r, (size_t)count);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(lua, -1, i);
        write_value(lua, r, protocol);
    }
}

static bool write_error(lua_State *lua, struct reply *r)
{
    script_reply_error(r, text_at(lua, -1));
    push_field(lua, lua_gettop(lua) - 1, "ignore_error_stats_update");
    bool counted = lua_toboolean(lua, -1);
    lua_pop(lua, 1);
    return counted;
}

/* Of several fields that make a table something else, the first of this order counts. What is pushed the caller takes
 * away. */
static bool write_table(lua_State *lua, struct reply *r, int protocol)
{
    if (!lua_checkstack(lua, STACK_EACH_LEVEL)) {
        reply_error(r, "ERR reached lua stack limit");
        return false;
    }
    if (has_field(lua, UPVALUE_ERR, LUA_TSTRING)) return write_error(lua, r);
    if (has_field(lua, UPVALUE_OK, LUA_TSTRING))
        write_status(r, text_at(lua, -1));
    else if (has_field(lua, UPVALUE_DOUBLE, LUA_TNUMBER))
        reply_double(r, lua_tonumber(lua, -1));
    else if (has_field(lua, UPVALUE_MAP, LUA_TTABLE))
        write_keyed(lua, r, protocol, true);
    else if (has_field(lua, UPVALUE_SET, LUA_TTABLE))
        write_keyed(lua, r, protocol, false);
    else if (has_field(lua, UPVALUE_BIG_NUMBER, LUA_TSTRING))
        write_big_number(r, text_at(lua, -1));
    else if (!has_field(lua, UPVALUE_VERBATIM, LUA_TTABLE) || !write_verbatim(lua, r))
        write_array(lua, r, protocol);
    return false;
}

static void write_boolean(struct reply *r, int protocol, bool value)
{
    if (protocol >= 3)
        reply_boolean(r, value);
    else if (value)
        reply_integer(r, 1);
    else
        reply_null(r);
}

static bool write_value(lua_State *lua, struct reply *r, int protocol)
{
    bool counted = false;
    int top = lua_gettop(lua);
    switch (lua_type(lua, top)) {
    case LUA_TSTRING: reply_bulk(r, text_at(lua, top)); break;
    case LUA_TNUMBER: reply_integer(r, to_integer(lua_tonumber(lua, top))); break;
    case LUA_TBOOLEAN: write_boolean(r, protocol, lua_toboolean(lua, top)); break;
    case LUA_TTABLE: counted = write_table(lua, r, protocol); break;
    default: reply_null(r);
    }
    lua_settop(lua, top - 1);
    return counted;
}

bool script_write_reply(lua_State *lua, struct reply *reply, int script_protocol)
{
    script_vm_of(lua)->limited = false;
    return write_value(lua, reply, script_protocol);
}
