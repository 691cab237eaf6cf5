/* See lib_string.h. Server process.
 *
 * LuaJIT's matching cannot be stopped, and a pattern of a few letters can keep it busy for years; so the functions with
 * patterns are our own, after the reference manual of Lua 5.1 and what Debian's redis-server answers. They look at the
 * watchdog as they go (pattern.h). */
#include "server/script/lib_string.h"

#include "server/base/check.h"
#include "server/script/pattern.h"
#include "server/script/text_buffer.h"
#include "server/script/vm.h"
#include "server/script/watchdog.h"

#include <lauxlib.h>

/* --- patterns --- */

static void pause_in_match(void *lua)
{
    script_watchdog_poll(lua);
}

static struct bytes text_argument(lua_State *lua, int index)
{
    size_t len;
    const char *text = luaL_checklstring(lua, index, &len);
    return bytes_make(text, len);
}

static void start(struct pattern_match *m, lua_State *lua, const struct pattern *pattern, struct bytes subject)
{
    m->pattern = pattern;
    m->subject = subject.ptr;
    m->end = subject.ptr + subject.len;
    m->pause = pause_in_match;
    m->pause_arg = lua;
    m->steps = PATTERN_PAUSE_STEPS;
}

/* A long pattern's room is a Lua value, which stays on the stack. */
static void compile(lua_State *lua, struct pattern *pattern, struct bytes text,
                    uint64_t small[PATTERN_SMALL_ROOM_WORDS])
{
    uint64_t *room = small;
    if (unlikely(text.len > PATTERN_SMALL_BYTES)) room = lua_newuserdata(lua, pattern_room_words(text.len) * 8);
    pattern_compile(pattern, text, true, room);
}

static bool find(lua_State *lua, struct pattern_match *m, const uint8_t *from)
{
    bool found = pattern_find(m, from);
    if (unlikely(m->fault != NULL)) luaL_error(lua, "%s", m->fault);
    return found;
}

/* --- captures --- */

/* Number 0 of a match without captures is the whole match. */
static void push_capture(lua_State *lua, const struct pattern_match *m, int number)
{
    if (number == 0 && m->level == 0) {
        lua_pushlstring(lua, (const char *)m->found, (size_t)(m->found_end - m->found));
        return;
    }
    if (number < 0 || number >= m->level) luaL_error(lua, "invalid capture index");
    const struct pattern_capture *capture = &m->captures[number];
    if (capture->len == PATTERN_UNFINISHED) luaL_error(lua, "unfinished capture");
    if (capture->len == PATTERN_POSITION)
        lua_pushinteger(lua, capture->start - m->subject + 1);
    else
        lua_pushlstring(lua, (const char *)capture->start, (size_t)capture->len);
}

static int push_captures(lua_State *lua, const struct pattern_match *m, bool whole_if_none)
{
    int count = m->level ? m->level : whole_if_none;
    luaL_checkstack(lua, count, "too many captures");
    for (int i = 0; i < count; i++) push_capture(lua, m, i);
    return count;
}

/* --- string.find, string.match --- */

/* Where to start, from 0. */
static size_t start_offset(lua_State *lua, size_t len)
{
    ptrdiff_t from = luaL_optinteger(lua, 3, 1);
    if (from < 0) from += (ptrdiff_t)len + 1;
    from--;
    if (from < 0) return 0;
    return (size_t)from < len ? (size_t)from : len;
}

/* What a pattern means to string.find. */
static bool is_plain(struct bytes pattern)
{
    return !strpbrk((const char *)pattern.ptr, "^$*+?.([%-");
}

/* memmem() takes a time that grows with the texts alone, but has more to prepare than most searches take. */
static const uint8_t *find_text(const uint8_t *at, const uint8_t *end, struct bytes what)
{
    for (int tries = 0; tries < 8 && what.len && (size_t)(end - at) >= what.len; tries++, at++) {
        at = memchr(at, *what.ptr, (size_t)(end - at) - what.len + 1);
        if (!at || memcmp(at, what.ptr, what.len) == 0) return at;
    }
    return memmem(at, (size_t)(end - at), what.ptr, what.len);
}

static int find_plain(lua_State *lua, struct bytes subject, size_t from, struct bytes what)
{
    const uint8_t *found = find_text(subject.ptr + from, subject.ptr + subject.len, what);
    if (!found) {
        lua_pushnil(lua);
        return 1;
    }
    lua_pushinteger(lua, found - subject.ptr + 1);
    lua_pushinteger(lua, found - subject.ptr + (ptrdiff_t)what.len);
    return 2;
}

static bool search(lua_State *lua, struct pattern_match *m, struct bytes subject, size_t from, struct bytes text)
{
    uint64_t room[PATTERN_SMALL_ROOM_WORDS];
    struct pattern pattern;
    compile(lua, &pattern, text, room);
    start(m, lua, &pattern, subject);
    return find(lua, m, subject.ptr + from);
}

static int string_find(lua_State *lua)
{
    struct pattern_match m;
    struct bytes subject = text_argument(lua, 1), text = text_argument(lua, 2);
    size_t from = start_offset(lua, subject.len);
    if (lua_toboolean(lua, 4) || is_plain(text)) return find_plain(lua, subject, from, text);
    if (!search(lua, &m, subject, from, text)) {
        lua_pushnil(lua);
        return 1;
    }
    lua_pushinteger(lua, m.found - m.subject + 1);
    lua_pushinteger(lua, m.found_end - m.subject);
    return 2 + push_captures(lua, &m, false);
}

static int string_match(lua_State *lua)
{
    struct pattern_match m;
    struct bytes subject = text_argument(lua, 1), text = text_argument(lua, 2);
    size_t from = start_offset(lua, subject.len);
    if (search(lua, &m, subject, from, text)) return push_captures(lua, &m, true);
    lua_pushnil(lua);
    return 1;
}

/* --- string.gmatch --- */

struct walk {
    struct pattern pattern;
    size_t next; /* offset */
    uint64_t room[];
};

/* An empty match moves on by a character. */
static int next_match(lua_State *lua)
{
    struct walk *walk = lua_touserdata(lua, lua_upvalueindex(1));
    size_t len;
    const char *text = lua_tolstring(lua, lua_upvalueindex(2), &len);
    struct pattern_match m;
    start(&m, lua, &walk->pattern, bytes_make(text, len));
    if (walk->next > len || !find(lua, &m, m.subject + walk->next)) return 0;
    walk->next = (size_t)(m.found_end - m.subject) + (m.found_end == m.found);
    return push_captures(lua, &m, true);
}

static int string_gmatch(lua_State *lua)
{
    text_argument(lua, 1);
    struct bytes text = text_argument(lua, 2);
    struct walk *walk = lua_newuserdata(lua, sizeof *walk + pattern_room_words(text.len) * sizeof *walk->room);
    walk->next = 0;
    pattern_compile(&walk->pattern, text, false, walk->room);
    lua_pushvalue(lua, 1);
    lua_pushcclosure(lua, next_match, 2);
    return 1;
}

/* --- string.gsub --- */

#define SMALL_RESULT 1024

/* A short result lies on the C stack; a longer one in a Lua value. */
struct result {
    struct text_buffer *spilled;
    int index; /* of that value */
    size_t len;
    uint8_t small[SMALL_RESULT];
};

static void spill(lua_State *lua, struct result *r)
{
    r->spilled = text_buffer_owner(lua, sizeof *r->spilled);
    lua_replace(lua, r->index);
    text_buffer_put(lua, r->spilled, r->small, r->len);
}

static void put(lua_State *lua, struct result *r, const void *bytes, size_t len)
{
    if (!r->spilled && len > SMALL_RESULT - r->len) spill(lua, r);
    if (r->spilled) return text_buffer_put(lua, r->spilled, bytes, len);
    memcpy(r->small + r->len, bytes, len);
    r->len += len;
}

static void push_result(lua_State *lua, struct result *r)
{
    if (r->spilled)
        text_buffer_push(lua, r->spilled, false);
    else
        lua_pushlstring(lua, (const char *)r->small, r->len);
}

static void put_capture(lua_State *lua, struct result *r, const struct pattern_match *m, int number)
{
    size_t len;
    push_capture(lua, m, number);
    const char *text = lua_tolstring(lua, -1, &len);
    put(lua, r, text, len);
    lua_pop(lua, 1);
}

/* "%1" to "%9" are captures, "%0" is the match, and any other character behind a '%' itself: Lua reads the zero byte
 * behind a text that ends with '%'. */
static void put_replacement(lua_State *lua, struct result *r, const struct pattern_match *m, struct bytes text)
{
    const uint8_t *at = text.ptr, *end = text.ptr + text.len, *sign;
    while (at < end && (sign = memchr(at, '%', (size_t)(end - at)))) {
        put(lua, r, at, (size_t)(sign - at));
        if (sign[1] == '0')
            put(lua, r, m->found, (size_t)(m->found_end - m->found));
        else if (sign[1] > '0' && sign[1] <= '9')
            put_capture(lua, r, m, sign[1] - '1');
        else
            put(lua, r, sign + 1, 1);
        at = sign + 2;
    }
    if (at < end) put(lua, r, at, (size_t)(end - at));
}

/* What a table or a function says; false and nil leave the match as it is. */
static void put_answer(lua_State *lua, struct result *r, const struct pattern_match *m, bool is_table)
{
    script_watchdog_poll(lua); /* the function may be one in C */
    if (is_table) {
        push_capture(lua, m, 0);
        lua_gettable(lua, 3);
    } else {
        lua_pushvalue(lua, 3);
        lua_call(lua, push_captures(lua, m, true), 1);
    }
    size_t len = (size_t)(m->found_end - m->found);
    const void *text = m->found;
    if (lua_toboolean(lua, -1)) {
        if (!lua_isstring(lua, -1)) luaL_error(lua, "invalid replacement value (a %s)", luaL_typename(lua, -1));
        text = lua_tolstring(lua, -1, &len);
    }
    put(lua, r, text, len);
    lua_pop(lua, 1);
}

static int replace_type(lua_State *lua)
{
    int type = lua_type(lua, 3);
    bool replaces = type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE;
    luaL_argcheck(lua, replaces, 3, "string/function/table expected");
    return type;
}

static ptrdiff_t substitute(lua_State *lua, struct pattern_match *m, struct result *r, int type, ptrdiff_t most)
{
    struct bytes text = {0};
    if (type == LUA_TNUMBER || type == LUA_TSTRING) text = text_argument(lua, 3);
    const uint8_t *from = m->subject;
    ptrdiff_t count = 0;
    while (count < most && find(lua, m, from)) {
        count++;
        put(lua, r, from, (size_t)(m->found - from));
        if (text.ptr)
            put_replacement(lua, r, m, text);
        else
            put_answer(lua, r, m, type == LUA_TTABLE);
        from = m->found_end;
        if (m->found_end == m->found) {
            if (from == m->end) break;
            put(lua, r, from++, 1);
        }
        if (m->pattern->anchored) break;
    }
    put(lua, r, from, (size_t)(m->end - from));
    return count;
}

static int string_gsub(lua_State *lua)
{
    script_vm_check_stack(lua);
    struct bytes subject = text_argument(lua, 1), text = text_argument(lua, 2);
    int type = replace_type(lua);
    ptrdiff_t most = luaL_optint(lua, 4, (int)(subject.len + 1));
    lua_settop(lua, 4);
    struct result r;
    r.spilled = NULL;
    r.index = 4;
    r.len = 0;
    uint64_t room[PATTERN_SMALL_ROOM_WORDS];
    struct pattern pattern;
    struct pattern_match m;
    compile(lua, &pattern, text, room);
    start(&m, lua, &pattern, subject);
    ptrdiff_t count = substitute(lua, &m, &r, type, most);
    push_result(lua, &r);
    lua_pushinteger(lua, count);
    return 2;
}

/* --- string.rep --- */

/* LuaJIT's puts its third argument between the copies, which Lua 5.1 does not know; and as a function of C it would
 * know neither the name nor the caller. */
static int string_rep(lua_State *lua)
{
    struct bytes text = text_argument(lua, 1);
    int count = luaL_checkint(lua, 2);
    char small[SMALL_RESULT];
    if (count <= 0 || (size_t)count <= sizeof small / (text.len + 1)) {
        size_t len = 0;
        for (int i = 0; i < count; i++, len += text.len) memcpy(small + len, text.ptr, text.len);
        lua_pushlstring(lua, small, len);
        return 1;
    }
    lua_settop(lua, 2);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, 2, 1);
    return 1;
}

void script_set_string_functions(lua_State *lua, int table)
{
    static const luaL_Reg functions[] = {{"find", string_find},
                                         {"match", string_match},
                                         {"gmatch", string_gmatch},
                                         {"gfind", string_gmatch}, /* as Lua 5.0 calls it */
                                         {"gsub", string_gsub}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        lua_pushcfunction(lua, functions[i].func);
        lua_setfield(lua, table, functions[i].name);
    }
    lua_getfield(lua, table, "rep");
    lua_pushcclosure(lua, string_rep, 1);
    lua_setfield(lua, table, "rep");
}
