/* Lua values to JSON. Server process.
 *
 * A table whose keys are all positive whole numbers is an array, any other an object; no metamethod is called. */
#include "server/script/json.h"
#include "server/script/watchdog.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include <lauxlib.h>

#define STACK_EACH_LEVEL 3
#define NUMBER_TEXT_MAX  40 /* "%.14g" needs 21 */
#define NOT_AN_ARRAY     (-1)

/* What stands behind a backslash for a byte; 'u': \u00XX; 0: the byte stands for itself. */
static const char escape_of[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b',         't',         'n',           'u',
    'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u',         'u',         'u',           'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['/'] = '/', ['\\'] = '\\', [127] = 'u',
};

struct encoding {
    lua_State *lua;
    struct json_state *state;
    struct text_buffer *out;
    uint32_t values; /* so many are written */
};

static void put_value(struct encoding *e, int depth);

static void refuse(struct encoding *e, int index, const char *reason)
{
    luaL_error(e->lua, "Cannot serialise %s: %s", luaL_typename(e->lua, index), reason);
}

static void put_escape(struct encoding *e, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    char escape = escape_of[byte];
    if (escape != 'u') {
        text_buffer_put(e->lua, e->out, (char[]){'\\', escape}, 2);
        return;
    }
    text_buffer_put(e->lua, e->out, (char[]){'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]}, 6);
}

static void put_string(struct encoding *e, int index)
{
    size_t len;
    const char *text = lua_tolstring(e->lua, index, &len);
    text_buffer_reserve(e->lua, e->out, len + 2);
    text_buffer_put_byte(e->lua, e->out, '"');
    for (size_t from = 0, at = 0; from < len; from = ++at) {
        while (at < len && !escape_of[(unsigned char)text[at]]) at++;
        text_buffer_put(e->lua, e->out, text + from, at - from);
        if (at == len) break;
        put_escape(e, (unsigned char)text[at]);
    }
    text_buffer_put_byte(e->lua, e->out, '"');
}

static void put_whole_number(struct encoding *e, double number)
{
    char text[NUMBER_TEXT_MAX];
    size_t at = sizeof text;
    uint64_t rest = (uint64_t)fabs(number);
    do text[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0) text[--at] = '-';
    text_buffer_put(e->lua, e->out, text + at, sizeof text - at);
}

static void put_finite(struct encoding *e, double number)
{
    static const double past_digits[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
                                         1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
    if (fabs(number) < past_digits[e->state->precision] && number == trunc(number) &&
        (number != 0 || !signbit(number))) {
        put_whole_number(e, number);
        return;
    }
    text_buffer_reserve(e->lua, e->out, NUMBER_TEXT_MAX);
    e->out->len += (size_t)snprintf(e->out->bytes + e->out->len, NUMBER_TEXT_MAX, "%.*g", e->state->precision, number);
}

static void put_number(struct encoding *e, int index)
{
    double number = lua_tonumber(e->lua, index);
    if (isfinite(number)) {
        put_finite(e, number);
        return;
    }
    if (e->state->encode_invalid == JSON_INVALID_REFUSED) refuse(e, index, "must not be NaN or Inf");
    const char *text = isnan(number) ? "nan" : number < 0 ? "-inf" : "inf";
    if (e->state->encode_invalid == JSON_INVALID_AS_NULL) text = "null";
    text_buffer_put(e->lua, e->out, text, strlen(text));
}

/* Of the table on top: the highest index of the array that it is, or NOT_AN_ARRAY. */
static double array_length(struct encoding *e)
{
    double max = 0, items = 0;
    for (lua_pushnil(e->lua); lua_next(e->lua, -2); lua_pop(e->lua, 1)) {
        double key = lua_type(e->lua, -2) == LUA_TNUMBER ? lua_tonumber(e->lua, -2) : 0;
        if (!(key >= 1) || key != floor(key)) {
            lua_pop(e->lua, 2);
            return NOT_AN_ARRAY;
        }
        if (key > max) max = key;
        items++;
    }
    const struct json_state *s = e->state;
    if (s->sparse_ratio <= 0 || max <= items * s->sparse_ratio || max <= s->sparse_safe) return max;
    if (!s->sparse_convert) refuse(e, -1, "excessively sparse array");
    return NOT_AN_ARRAY;
}

static void put_array(struct encoding *e, double length, int depth)
{
    text_buffer_put_byte(e->lua, e->out, '[');
    for (double i = 1; i <= length; i++) {
        if (i > 1) text_buffer_put_byte(e->lua, e->out, ',');
        if (i <= INT32_MAX) {
            lua_rawgeti(e->lua, -1, (int)i);
        } else {
            lua_pushnumber(e->lua, i);
            lua_rawget(e->lua, -2);
        }
        put_value(e, depth);
        lua_pop(e->lua, 1);
    }
    text_buffer_put_byte(e->lua, e->out, ']');
}

static void put_key(struct encoding *e, int index)
{
    int type = lua_type(e->lua, index);
    if (type == LUA_TSTRING) {
        put_string(e, index);
    } else if (type == LUA_TNUMBER) {
        text_buffer_put_byte(e->lua, e->out, '"');
        put_number(e, index);
        text_buffer_put_byte(e->lua, e->out, '"');
    } else {
        refuse(e, index, "table key must be a number or string");
    }
}

static void put_object(struct encoding *e, int depth)
{
    text_buffer_put_byte(e->lua, e->out, '{');
    bool first = true;
    for (lua_pushnil(e->lua); lua_next(e->lua, -2); lua_pop(e->lua, 1)) {
        if (!first) text_buffer_put_byte(e->lua, e->out, ',');
        first = false;
        put_key(e, -2);
        text_buffer_put_byte(e->lua, e->out, ':');
        put_value(e, depth);
    }
    text_buffer_put_byte(e->lua, e->out, '}');
}

static bool marked_as_array(lua_State *lua)
{
    if (!lua_getmetatable(lua, -1)) return false;
    json_push_array_mark(lua);
    bool marked = lua_rawequal(lua, -1, -2);
    lua_pop(lua, 2);
    return marked;
}

static void put_table(struct encoding *e, int depth)
{
    depth++;
    script_watchdog_poll(e->lua); /* a table may have many places and no values, and stand in another many times */
    if (depth > e->state->encode_max_depth || !lua_checkstack(e->lua, STACK_EACH_LEVEL))
        luaL_error(e->lua, "Cannot serialise, excessive nesting (%d)", depth);
    double length = array_length(e);
    if (length > 0 || (length == 0 && marked_as_array(e->lua)))
        put_array(e, length, depth);
    else
        put_object(e, depth);
}

static void put_text(struct encoding *e, const char *text)
{
    text_buffer_put(e->lua, e->out, text, strlen(text));
}

/* The value on top. */
static void put_value(struct encoding *e, int depth)
{
    script_watchdog_poll_sometimes(e->lua, &e->values);
    switch (lua_type(e->lua, -1)) {
    case LUA_TSTRING: put_string(e, -1); return;
    case LUA_TNUMBER: put_number(e, -1); return;
    case LUA_TBOOLEAN: put_text(e, lua_toboolean(e->lua, -1) ? "true" : "false"); return;
    case LUA_TTABLE: put_table(e, depth); return;
    case LUA_TNIL: put_text(e, "null"); return;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(e->lua, -1)) break;
        put_text(e, "null");
        return;
    default: break;
    }
    refuse(e, -1, "type not supported");
}

void json_encode(lua_State *lua, struct json_state *state, int index)
{
    struct encoding e = {lua, state, &state->buffer, 0};
    state->buffer.len = 0;
    lua_pushvalue(lua, index);
    put_value(&e, 0);
    lua_pop(lua, 1);
    text_buffer_push(lua, &state->buffer, state->keep_buffer);
}
