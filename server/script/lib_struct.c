/* The library `struct` of the script sandbox: C structures packed into strings and read from them. Server process.
 *
 * The format is that of Roberto Ierusalimschy's library of that name (http://www.inf.puc-rio.br/~roberto/struct):
 *
 *   > <      big, little endian (the machine's own at first)        b B       signed, unsigned char
 *   ![n]     alignment up to n, a power of two; 8 without n         h H l L   short, long
 *   x        a byte of padding                                      i[n] I[n] integer of n bytes, 4 without n
 *   s        string with a zero byte behind it                      T         size_t
 *   c[n]     n bytes, 1 without n; c0: the whole string, or as      f d       float, double
 *            many bytes as the number read before says              blank     nothing
 *
 * A C compiler's sizes of the platform that Redis runs on are fixed here: they are what stands in stored data. */
#include "server/script/lib_struct.h"

#include "server/script/watchdog.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <lauxlib.h>

#define ALIGNMENT_DEFAULT 8
#define INTEGER_BYTES_MAX 32
#define TWO_TO_63         9223372036854775808.0

struct format {
    lua_State *lua;
    const char *at; /* the rest of it, zero-terminated */
    size_t align;
    bool big_endian;
    uint32_t options; /* so many have been read */
};

struct option {
    char letter;
    size_t size; /* bytes; 0: not fixed, or none at all */
};

static struct format format_of(lua_State *lua)
{
    return (struct format){.lua = lua, .at = luaL_checkstring(lua, 1), .align = 1};
}

/* The digits at f->at, or what holds without any. */
static size_t take_count(struct format *f, size_t without)
{
    if (!isdigit((unsigned char)*f->at)) return without;
    int count = 0;
    for (; isdigit((unsigned char)*f->at); f->at++) {
        int digit = *f->at - '0';
        if (count > (INT_MAX - digit) / 10) luaL_error(f->lua, "integral size overflow");
        count = count * 10 + digit;
    }
    return (size_t)count;
}

static size_t take_integer_size(struct format *f)
{
    size_t size = take_count(f, sizeof(int32_t));
    if (size > INTEGER_BYTES_MAX)
        luaL_error(f->lua, "integral size %d is larger than limit of %d", (int)size, INTEGER_BYTES_MAX);
    return size;
}

/* false: the format's end. */
static bool next_option(struct format *f, struct option *option)
{
    *option = (struct option){.letter = *f->at};
    if (!*f->at) return false;
    script_watchdog_poll_sometimes(f->lua, &f->options);
    f->at++;
    switch (option->letter) {
    case 'b':
    case 'B':
    case 'x': option->size = 1; break;
    case 'h':
    case 'H': option->size = 2; break;
    case 'f': option->size = 4; break;
    case 'l':
    case 'L':
    case 'T':
    case 'd': option->size = 8; break;
    case 'c': option->size = take_count(f, 1); break;
    case 'i':
    case 'I': option->size = take_integer_size(f); break;
    default: break;
    }
    return true;
}

/* What has no value: order, alignment, blanks. */
static void take_control(struct format *f, char letter)
{
    switch (letter) {
    case ' ': return;
    case '>': f->big_endian = true; return;
    case '<': f->big_endian = false; return;
    case '!': {
        size_t align = take_count(f, ALIGNMENT_DEFAULT);
        if (align == 0 || (align & (align - 1)) != 0)
            luaL_error(f->lua, "alignment %d is not a power of 2", (int)align);
        f->align = align;
        return;
    }
    default: luaL_argerror(f->lua, 1, lua_pushfstring(f->lua, "invalid format option '%c'", letter));
    }
}

/* Bytes of padding before an option at `at`. The library's own formula: of sizes that are no power of two it makes what
 * stored data has by now. */
static size_t padding_before(const struct format *f, const struct option *option, size_t at)
{
    size_t size = option->size;
    if (size == 0 || option->letter == 'c') return 0;
    if (size > f->align) size = f->align;
    return size > 1 ? (size - (at & (size - 1))) & (size - 1) : 0;
}

/* As x86-64 converts, also what C leaves open: beyond the range, infinity and NaN. */
static uint64_t to_integer(double number)
{
    if (isnan(number)) return (uint64_t)1 << 63;
    if (number < 0) return number >= -TWO_TO_63 ? (uint64_t)(int64_t)number : (uint64_t)1 << 63;
    if (number < TWO_TO_63) return (uint64_t)number;
    number -= TWO_TO_63;
    return number < TWO_TO_63 ? (uint64_t)number ^ (uint64_t)1 << 63 : 0;
}

/* --- pack ---- */

/* Bytes past the eighth are zero, also of a negative number. */
static void add_integer(luaL_Buffer *out, uint64_t value, size_t size, bool big_endian)
{
    char bytes[INTEGER_BYTES_MAX];
    for (size_t i = 0; i < size; i++, value >>= 8) bytes[big_endian ? size - 1 - i : i] = (char)value;
    luaL_addlstring(out, bytes, size);
}

static void add_float(luaL_Buffer *out, double number, size_t size, bool big_endian)
{
    uint64_t bits = 0;
    if (size == sizeof(float)) {
        float single = (float)number;
        memcpy(&bits, &single, sizeof single);
    } else {
        memcpy(&bits, &number, sizeof number);
    }
    add_integer(out, bits, size, big_endian);
}

/* How many bytes it added. */
static size_t add_string(lua_State *lua, luaL_Buffer *out, int argument, const struct option *option)
{
    size_t len;
    const char *bytes = luaL_checklstring(lua, argument, &len);
    size_t size = option->size ? option->size : len;
    luaL_argcheck(lua, len >= size, argument + 1, "string too short");
    luaL_addlstring(out, bytes, size);
    if (option->letter != 's') return size;
    luaL_addchar(out, '\0');
    return size + 1;
}

static size_t pack_option(struct format *f, luaL_Buffer *out, const struct option *option, int *argument)
{
    switch (option->letter) {
    case 'b':
    case 'B':
    case 'h':
    case 'H':
    case 'l':
    case 'L':
    case 'T':
    case 'i':
    case 'I':
        add_integer(out, to_integer(luaL_checknumber(f->lua, (*argument)++)), option->size, f->big_endian);
        return option->size;
    case 'f':
    case 'd': add_float(out, luaL_checknumber(f->lua, (*argument)++), option->size, f->big_endian); return option->size;
    case 'x': luaL_addchar(out, '\0'); return option->size;
    case 'c':
    case 's': return add_string(f->lua, out, (*argument)++, option);
    default: take_control(f, option->letter); return option->size;
    }
}

static int pack(lua_State *lua)
{
    struct format f = format_of(lua);
    struct option option;
    luaL_Buffer out;
    size_t total = 0;
    int argument = 2;
    lua_pushnil(lua); /* between the arguments and the buffer's own values, so that a missing one is seen as such */
    luaL_buffinit(lua, &out);
    while (next_option(&f, &option)) {
        size_t padding = padding_before(&f, &option, total);
        total += padding;
        for (; padding > 0; padding--) luaL_addchar(&out, '\0');
        total += pack_option(&f, &out, &option, &argument);
    }
    luaL_pushresult(&out);
    return 1;
}

/* --- unpack ---- */

static uint64_t read_integer(const uint8_t *bytes, size_t size, bool big_endian)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value = value << 8 | bytes[big_endian ? i : size - 1 - i];
    return value;
}

static void push_integer(lua_State *lua, const uint8_t *bytes, const struct option *option, bool big_endian)
{
    uint64_t value = read_integer(bytes, option->size, big_endian);
    if (isupper((unsigned char)option->letter)) {
        lua_pushnumber(lua, (lua_Number)value);
        return;
    }
    /* A shift past the eighth byte counts modulo 64, as the machine does it. */
    uint64_t sign_and_above = UINT64_MAX << ((option->size * 8 - 1) & 63);
    if (value & sign_and_above) value |= sign_and_above;
    lua_pushnumber(lua, (lua_Number)(int64_t)value);
}

static void push_float(lua_State *lua, const uint8_t *bytes, const struct option *option, bool big_endian)
{
    uint64_t bits = read_integer(bytes, option->size, big_endian);
    double number;
    if (option->size == sizeof(float)) {
        float single;
        memcpy(&single, &bits, sizeof single);
        number = single;
    } else {
        memcpy(&number, &bits, sizeof number);
    }
    /* The bits of a NaN come from the script's input; Lua gets the one NaN that it makes itself. */
    lua_pushnumber(lua, isnan(number) ? (lua_Number)NAN : number);
}

struct source {
    const uint8_t *bytes;
    size_t len, at;
    int results; /* on the stack */
};

static void need(lua_State *lua, const struct source *in, size_t size)
{
    luaL_argcheck(lua, size <= in->len && in->at <= in->len - size, 2, "data string too short");
}

/* How many bytes it took. */
static size_t unpack_bytes(lua_State *lua, struct source *in, size_t size)
{
    if (size == 0) {
        if (in->results == 0 || !lua_isnumber(lua, -1)) luaL_error(lua, "format 'c0' needs a previous size");
        size = to_integer(lua_tonumber(lua, -1));
        lua_pop(lua, 1);
        in->results--;
        need(lua, in, size);
    }
    lua_pushlstring(lua, (const char *)in->bytes + in->at, size);
    return size;
}

static size_t unpack_string(lua_State *lua, const struct source *in)
{
    const uint8_t *from = in->bytes + in->at;
    const uint8_t *end = memchr(from, 0, in->len - in->at);
    if (!end) luaL_error(lua, "unfinished string in data");
    lua_pushlstring(lua, (const char *)from, (size_t)(end - from));
    return (size_t)(end - from) + 1;
}

/* How many bytes it took; whatever has a value is pushed. */
static size_t unpack_option(struct format *f, struct source *in, const struct option *option)
{
    const uint8_t *at = in->bytes + in->at;
    size_t taken = option->size;
    switch (option->letter) {
    case 'b':
    case 'B':
    case 'h':
    case 'H':
    case 'l':
    case 'L':
    case 'T':
    case 'i':
    case 'I': push_integer(f->lua, at, option, f->big_endian); break;
    case 'f':
    case 'd': push_float(f->lua, at, option, f->big_endian); break;
    case 'c': taken = unpack_bytes(f->lua, in, option->size); break;
    case 's': taken = unpack_string(f->lua, in); break;
    case 'x': return taken;
    default: take_control(f, option->letter); return taken;
    }
    in->results++;
    return taken;
}

static int unpack(lua_State *lua)
{
    struct format f = format_of(lua);
    struct option option;
    struct source in = {0};
    in.bytes = (const uint8_t *)luaL_checklstring(lua, 2, &in.len);
    lua_Integer from = luaL_optinteger(lua, 3, 1);
    luaL_argcheck(lua, from != 0, 3, "offset must be 1 or greater");
    in.at = (size_t)from - 1;
    while (next_option(&f, &option)) {
        in.at += padding_before(&f, &option, in.at);
        need(lua, &in, option.size);
        luaL_checkstack(lua, 2, "too many results");
        in.at += unpack_option(&f, &in, &option);
    }
    lua_pushinteger(lua, (lua_Integer)(in.at + 1));
    return in.results + 1;
}

/* --- size ---- */

static int size(lua_State *lua)
{
    struct format f = format_of(lua);
    struct option option;
    size_t total = 0;
    while (next_option(&f, &option)) {
        total += padding_before(&f, &option, total) + option.size;
        if (option.letter == 's') luaL_argerror(lua, 1, "option 's' has no fixed size");
        if (option.letter == 'c' && option.size == 0) luaL_argerror(lua, 1, "option 'c0' has no fixed size");
        if (!isalnum((unsigned char)option.letter)) take_control(&f, option.letter);
    }
    lua_pushinteger(lua, (lua_Integer)total);
    return 1;
}

static const luaL_Reg functions[] = {{"pack", pack}, {"unpack", unpack}, {"size", size}, {NULL, NULL}};

int script_open_struct(lua_State *lua)
{
    lua_createtable(lua, 0, 3);
    for (const luaL_Reg *f = functions; f->name; f++) {
        lua_pushcfunction(lua, f->func);
        lua_setfield(lua, -2, f->name);
    }
    return 1;
}
