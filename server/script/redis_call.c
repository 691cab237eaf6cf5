/* redis.call and redis.pcall: from Lua's arguments to a command that has run, and its reply back. Server process.
 *
 * A call allocates nothing for its arguments: strings are used where Lua has them, numbers are written into a room that
 * stays. Which command a name means is remembered. */
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/number.h"
#include "server/core/command/command_table.h"
#include "server/core/command/stats.h"
#include "server/core/run/gate.h"
#include "server/core/run/run.h"
#include "server/script/convert.h"
#include "server/script/parts.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#define NUMBER_TEXT_BYTES 32
#define WHOLE_MAX         4503599627370496.0 /* 2^52 */

/* --- errors --- */

void script_push_error(lua_State *lua, const char *text, bool counted)
{
    lua_createtable(lua, 0, 2);
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, "err");
    if (!counted) return;
    lua_pushboolean(lua, true);
    lua_setfield(lua, -2, "ignore_error_stats_update");
}

int script_raise(lua_State *lua, const char *text)
{
    script_push_error(lua, text, false);
    return lua_error(lua);
}

/* --- arguments --- */

static struct arguments {
    struct bytes *values;
    char (*numbers)[NUMBER_TEXT_BYTES];
    uint32_t room;
} arguments; /* of the one call that is being made */

static void make_room(uint32_t count)
{
    if (likely(count <= arguments.room)) return;
    arguments.room = count < 16 ? 16 : count * 2;
    arguments.values = mem_realloc(arguments.values, arguments.room * sizeof *arguments.values);
    arguments.numbers = mem_realloc(arguments.numbers, arguments.room * sizeof *arguments.numbers);
}

/* Whole numbers as such, as long as each of them has a number of its own; the others with all their digits. */
static struct bytes number_text(double number, char room[NUMBER_TEXT_BYTES])
{
    bool whole = number >= -WHOLE_MAX && number <= WHOLE_MAX && number == (double)(int64_t)number;
    if (whole && !(number == 0 && signbit(number))) return bytes_make(room, format_i64(room, (int64_t)number));
    if (unlikely(isnan(number))) return BYTES("nan"); /* LuaJIT has one, whose sign says nothing */
    return bytes_make(room, (size_t)snprintf(room, NUMBER_TEXT_BYTES, "%.17g", number));
}

const struct bytes *script_arguments(struct script_engine *e, lua_State *lua, uint32_t *argc)
{
    (void)e;
    int count = lua_gettop(lua);
    if (!count) {
        script_push_error(lua, "ERR Please specify at least one argument for this redis lib call", false);
        return NULL;
    }
    make_room((uint32_t)count);
    for (int i = 0; i < count; i++) {
        int type = lua_type(lua, i + 1);
        if (likely(type == LUA_TSTRING)) {
            size_t len;
            const char *text = lua_tolstring(lua, i + 1, &len);
            arguments.values[i] = bytes_make(text, len);
        } else if (type == LUA_TNUMBER) {
            arguments.values[i] = number_text(lua_tonumber(lua, i + 1), arguments.numbers[i]);
        } else {
            script_push_error(lua, "ERR Lua redis lib command arguments must be strings or integers", false);
            return NULL;
        }
    }
    *argc = (uint32_t)count;
    return arguments.values;
}

/* --- the command --- */

static struct cached_command *cache_slot(struct script_engine *e, struct bytes name)
{
    unsigned place = (unsigned)name.len;
    if (name.len)
        place += (name.ptr[0] & 31u) * 7 + (name.ptr[name.len - 1] & 31u) * 3 + (name.ptr[name.len / 2] & 31u);
    return &e->cached[place & (CACHED_COMMANDS - 1)];
}

static struct command_entry *look_up(struct script_engine *e, uint32_t argc, const struct bytes *argv)
{
    struct cached_command *slot = cache_slot(e, argv[0]);
    size_t len = argv[0].len;
    if (likely(slot->entry && slot->len == len && memcmp(slot->spelling, argv[0].ptr, len) == 0)) return slot->entry;
    struct command_entry *found = command_table_resolve(e->core->commands, argc, argv);
    if (!found || found->container || found->subcommand_count || len > sizeof slot->spelling) return found;
    slot->entry = found;
    slot->len = (uint8_t)len;
    memcpy(slot->spelling, argv[0].ptr, len);
    return found;
}

/* Whatever the command was, it is counted as refused, and the error with its code. */
static void count_refusal(struct script_engine *e, struct command_entry *command, const char *error)
{
    char code[32];
    size_t len = strcspn(error, " ");
    if (len >= sizeof code) len = sizeof code - 1;
    memcpy(code, error, len);
    code[len] = 0;
    if (command) command->rejected++;
    stats_count_error(e->core->stats, code);
}

/* The whole reply in one piece, which is the caller's. */
static struct bytes gather_reply(struct outq *q)
{
    size_t len = outq_pending(q), at = 0;
    uint8_t *joined = mem_alloc(len);
    for (struct bytes run; (run = outq_front(q)).len; outq_consume(q, run.len)) {
        memcpy(joined + at, run.ptr, run.len);
        at += run.len;
    }
    return bytes_make(joined, len);
}

/* A Lua error while a reply of several pieces is turned into values must not lose what it was gathered in. */
static int push_gathered(lua_State *lua)
{
    const struct bytes *encoded = lua_touserdata(lua, 1);
    script_push_reply(lua, *encoded);
    return 1;
}

static void push_large_reply(struct script_engine *e, lua_State *lua)
{
    struct bytes encoded;
    lua_pushcfunction(lua, push_gathered);
    lua_pushlightuserdata(lua, &encoded);
    encoded = gather_reply(&e->run.reply);
    int status = lua_pcall(lua, 1, 1, 0);
    mem_free((void *)encoded.ptr);
    if (status) lua_error(lua);
}

static void push_reply(struct script_engine *e, lua_State *lua)
{
    struct outq *q = &e->run.reply;
    struct bytes first = outq_front(q);
    if (unlikely(first.len != outq_pending(q))) return push_large_reply(e, lua);
    script_push_reply(lua, first);
    outq_commit(q, (uint8_t *)(uintptr_t)first.ptr); /* the chunk stays for the next reply */
}

static void run_inside(struct script_engine *e, const struct request *request)
{
    struct script_run *run = &e->run;
    if (request->command->row->flags & CMD_WRITE) run->wrote = true;
    if (unlikely(!outq_empty(&run->reply))) outq_clear(&run->reply); /* an error of Lua may have left something */
    run_chain_start();
    run_command(e->core, &run->session, request, run->call->now_ms);
}

static int call_command(lua_State *lua, bool raises)
{
    struct script_engine *e = lua_touserdata(lua, lua_upvalueindex(1));
    struct request request = {.argc = 0};
    char room[GATE_ERROR_MAX];
    request.argv = script_arguments(e, lua, &request.argc);
    if (!request.argv) return raises ? lua_error(lua) : 1;
    request.command = look_up(e, request.argc, request.argv);
    const char *error = script_refusal(e, &request, room);
    if (unlikely(error != NULL)) {
        count_refusal(e, request.command, error);
        script_push_error(lua, error, true);
        return raises ? lua_error(lua) : 1;
    }
    uint32_t first_key = (uint32_t)request.command->first_key;
    if (first_key && first_key < request.argc) {
        request.first_key_index = first_key;
        request.first_key_hash = key_hash(request.argv[first_key]);
    }
    run_inside(e, &request);
    bool failed = outq_front(&e->run.reply).ptr[0] == '-';
    push_reply(e, lua);
    return raises && failed ? lua_error(lua) : 1;
}

int script_redis_call(lua_State *lua)
{
    return call_command(lua, true);
}

int script_redis_pcall(lua_State *lua)
{
    return call_command(lua, false);
}
