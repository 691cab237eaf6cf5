/* See lib_table.h. Server process.
 *
 * LuaJIT's sort takes a time that grows with the square of the length for an order made on purpose. A comparison that
 * is Lua code can be stopped; where there is none, or one in C, one of ours takes its place that looks at the watchdog.
 * Long tables of numbers alone or of strings alone, which have but one order, are sorted in here instead, as that is
 * faster. What chooses is Lua code itself, so that errors find the caller and the name. */
#include "server/script/lib_table.h"

#include "server/base/check.h"
#include "server/script/watchdog.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define SHORT_LENGTH 2000      /* its square is a matter of milliseconds */
#define PLAIN_LENGTH (1 << 20) /* so many at the most are copied */

static const char choose[] = "local sort, needs_polls, sort_plain, polling = ...\n"
                             "return function(...)\n"
                             "    local t, comes_before = ...\n"
                             "    if not needs_polls(t, comes_before) then return sort(...) end\n"
                             "    if comes_before == nil and sort_plain(t) then return end\n"
                             "    return sort(t, polling(comes_before))\n"
                             "end\n";

static int needs_polls(lua_State *lua)
{
    bool native =
        lua_isnil(lua, 2) ? lua_istable(lua, 1) && lua_objlen(lua, 1) > SHORT_LENGTH : lua_iscfunction(lua, 2);
    lua_pushboolean(lua, native);
    return 1;
}

/* --- numbers alone, strings alone --- */

struct element {
    union {
        double number;
        const char *text;
    };
    size_t len;
    int place; /* in the table */
};

static bool is_before(const struct element *a, const struct element *b, bool texts)
{
    if (!texts) return a->number < b->number;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order < 0 || (order == 0 && a->len < b->len);
}

/* Heapsort: no order makes it slow, and it needs no more room. */
static void sift(struct element *heap, size_t from, size_t count, bool texts)
{
    struct element moved = heap[from];
    for (size_t child; (child = from * 2 + 1) < count; from = child) {
        if (child + 1 < count && is_before(&heap[child], &heap[child + 1], texts)) child++;
        if (!is_before(&moved, &heap[child], texts)) break;
        heap[from] = heap[child];
    }
    heap[from] = moved;
}

static void heapsort_polling(lua_State *lua, struct element *heap, size_t count, bool texts)
{
    uint32_t steps = 0;
    for (size_t i = count / 2; i > 0; i--) {
        script_watchdog_poll_sometimes(lua, &steps);
        sift(heap, i - 1, count, texts);
    }
    for (size_t rest = count - 1; rest > 0; rest--) {
        script_watchdog_poll_sometimes(lua, &steps);
        struct element largest = *heap;
        *heap = heap[rest];
        heap[rest] = largest;
        sift(heap, 0, rest, texts);
    }
}

/* false: they are neither all numbers nor all strings; NaN has no place in an order. */
static bool read_elements(lua_State *lua, struct element *elements, int count, int type)
{
    for (int i = 0; i < count; i++) {
        struct element *e = &elements[i];
        lua_rawgeti(lua, 1, i + 1);
        if (lua_type(lua, -1) != type) return false;
        e->place = i + 1;
        if (type == LUA_TSTRING)
            e->text = lua_tolstring(lua, -1, &e->len); /* the table keeps it */
        else
            e->number = lua_tonumber(lua, -1);
        if (type == LUA_TNUMBER && isnan(e->number)) return false;
        lua_pop(lua, 1);
    }
    return true;
}

static void write_numbers(lua_State *lua, const struct element *elements, int count)
{
    for (int i = 0; i < count; i++) {
        lua_pushnumber(lua, elements[i].number);
        lua_rawseti(lua, 1, i + 1);
    }
}

static void write_strings(lua_State *lua, const struct element *elements, int count)
{
    lua_createtable(lua, count, 0);
    int sorted = lua_gettop(lua);
    for (int i = 0; i < count; i++) {
        lua_rawgeti(lua, 1, elements[i].place);
        lua_rawseti(lua, sorted, i + 1);
    }
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(lua, sorted, i);
        lua_rawseti(lua, 1, i);
    }
}

/* Of a table that is long: whether it has been sorted. */
static int sort_plain(lua_State *lua)
{
    lua_rawgeti(lua, 1, 1);
    int type = lua_type(lua, -1);
    size_t count = lua_objlen(lua, 1);
    if ((type != LUA_TNUMBER && type != LUA_TSTRING) || count > PLAIN_LENGTH) return 0;
    struct element *elements = lua_newuserdata(lua, count * sizeof *elements);
    if (!read_elements(lua, elements, (int)count, type)) return 0;
    heapsort_polling(lua, elements, count, type == LUA_TSTRING);
    if (type == LUA_TNUMBER)
        write_numbers(lua, elements, (int)count);
    else
        write_strings(lua, elements, (int)count);
    lua_pushboolean(lua, true);
    return 1;
}

/* --- all others --- */

static int compare(lua_State *lua)
{
    script_watchdog_poll(lua);
    if (lua_isnil(lua, lua_upvalueindex(1))) {
        lua_pushboolean(lua, lua_lessthan(lua, 1, 2));
        return 1;
    }
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, 2, 1);
    return 1;
}

static int polling(lua_State *lua)
{
    lua_settop(lua, 1);
    lua_pushcclosure(lua, compare, 1);
    return 1;
}

void script_set_table_functions(lua_State *lua, int table)
{
    CHECK(luaL_loadbuffer(lua, choose, strlen(choose), "=[C]") == 0);
    lua_getfield(lua, table, "sort");
    lua_pushcfunction(lua, needs_polls);
    lua_pushcfunction(lua, sort_plain);
    lua_pushcfunction(lua, polling);
    lua_call(lua, 4, 1);
    lua_setfield(lua, table, "sort");
}
