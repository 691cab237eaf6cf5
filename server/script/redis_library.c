/* The table `redis`, by another name `server`: what scripts can ask of the server. Server process. */
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/core/command/command_table.h"
#include "server/core/dataset/append_only.h"
#include "server/core/version.h"
#include "server/script/digest.h"
#include "server/script/parts.h"

#include <lauxlib.h>

static const char engine_key; /* its address is where the registry has the engine */

struct script_engine *script_engine_of(lua_State *lua)
{
    lua_pushlightuserdata(lua, (void *)&engine_key);
    lua_rawget(lua, LUA_REGISTRYINDEX);
    struct script_engine *e = lua_touserdata(lua, -1);
    lua_pop(lua, 1);
    return e;
}

void script_set_engine(lua_State *lua, struct script_engine *e)
{
    lua_pushlightuserdata(lua, (void *)&engine_key);
    lua_pushlightuserdata(lua, e);
    lua_rawset(lua, LUA_REGISTRYINDEX);
}

/* --- replies --- */

/* The text with a code in front, one way or another: "-CODE text", "CODE text", or a word, which is a text without. */
static int error_reply(lua_State *lua)
{
    if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
        script_push_error(lua, "ERR wrong number or type of arguments", false);
        return 1;
    }
    size_t len;
    const char *text = lua_tolstring(lua, 1, &len);
    if (len && *text == '-') {
        text++;
        len--;
    }
    bool has_code = memchr(text, ' ', len);
    while (!has_code && len && (*text == '\r' || *text == '\n')) text++, len--;
    lua_createtable(lua, 0, 1);
    lua_pushstring(lua, has_code ? "" : "ERR ");
    lua_pushlstring(lua, text, len);
    lua_concat(lua, 2);
    lua_setfield(lua, -2, "err");
    return 1;
}

static int status_reply(lua_State *lua)
{
    if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
        script_push_error(lua, "ERR wrong number or type of arguments", false);
        return 1;
    }
    lua_createtable(lua, 0, 1);
    lua_pushvalue(lua, 1);
    lua_setfield(lua, -2, "ok");
    return 1;
}

static int set_protocol(lua_State *lua)
{
    if (lua_gettop(lua) != 1) return script_raise(lua, "ERR redis.setresp() requires one argument.");
    lua_Integer version = lua_tointeger(lua, 1);
    if (version != 2 && version != 3) return script_raise(lua, "ERR RESP version must be 2 or 3.");
    struct script_run *run = &script_engine_of(lua)->run;
    run->protocol = (int)version;
    run->session.reply.protocol = (uint8_t)version;
    return 0;
}

/* --- small helpers --- */

static int sha1hex(lua_State *lua)
{
    if (lua_gettop(lua) != 1) return script_raise(lua, "ERR wrong number of arguments");
    size_t len;
    const char *text = lua_tolstring(lua, 1, &len);
    struct script_digest digest = script_digest_of(bytes_make(text, text ? len : 0));
    lua_pushlstring(lua, digest.text, SCRIPT_DIGEST_CHARS);
    return 1;
}

static int log_message(lua_State *lua)
{
    static const enum log_level levels[] = {LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING};
    int count = lua_gettop(lua);
    if (count < 2) return script_raise(lua, "ERR redis.log() requires two arguments or more.");
    if (!lua_isnumber(lua, 1)) return script_raise(lua, "ERR First argument must be a number (log level).");
    lua_Integer level = lua_tointeger(lua, 1);
    if (level < 0 || level > 3) return script_raise(lua, "ERR Invalid debug level.");
    luaL_Buffer text;
    luaL_buffinit(lua, &text);
    for (int i = 2; i <= count; i++) {
        size_t len;
        const char *piece = lua_tolstring(lua, i, &len);
        if (!piece) continue;
        if (i > 2) luaL_addchar(&text, ' ');
        luaL_addlstring(&text, piece, len);
    }
    luaL_pushresult(&text);
    log_write(levels[level], "%s", lua_tostring(lua, -1));
    return 0;
}

/* --- replication --- */

/* There is one stream, which replicas and the append-only file read: what is for one of them reaches the other as well.
 * Data that is asked to be on the disk is never left out of it. */
#define REPLICATE_TO_AOF      1
#define REPLICATE_TO_REPLICAS 2

static bool goes_into_stream(const struct core *core, lua_Integer flags)
{
    return (flags & REPLICATE_TO_REPLICAS) || ((flags & REPLICATE_TO_AOF) && append_only_is_on(core));
}

static int set_repl(lua_State *lua)
{
    if (lua_gettop(lua) != 1) return script_raise(lua, "ERR redis.set_repl() requires two arguments.");
    lua_Integer flags = lua_tointeger(lua, 1);
    if (flags & ~3)
        return script_raise(lua, "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
    struct script_engine *e = script_engine_of(lua);
    e->run.session.unpropagated = !goes_into_stream(e->core, flags);
    return 0;
}

/* Effects are what is replicated, always. */
static int replicate_commands(lua_State *lua)
{
    lua_pushboolean(lua, true);
    return 1;
}

/* --- the debugger, which there is none of --- */

static int breakpoint(lua_State *lua)
{
    lua_pushboolean(lua, false);
    return 1;
}

static int debug(lua_State *lua)
{
    (void)lua;
    return 0;
}

/* --- rights --- */

static int acl_check_cmd(lua_State *lua)
{
    struct script_engine *e = script_engine_of(lua);
    uint32_t argc;
    const struct bytes *argv = script_arguments(e, lua, &argc);
    if (!argv) return lua_error(lua);
    const struct command_entry *command = command_table_resolve(e->core->commands, argc, argv);
    if (!command || (command->subcommand_count && argc >= 2))
        return script_raise(lua, "ERR Invalid command passed to redis.acl_check_cmd()");
    lua_pushboolean(lua, script_user_may(e, command, argc, argv));
    return 1;
}

/* --- the table --- */

static void set_number(lua_State *lua, const char *name, int value)
{
    lua_pushinteger(lua, value);
    lua_setfield(lua, -2, name);
}

static void set_constants(lua_State *lua)
{
    set_number(lua, "LOG_DEBUG", 0);
    set_number(lua, "LOG_VERBOSE", 1);
    set_number(lua, "LOG_NOTICE", 2);
    set_number(lua, "LOG_WARNING", 3);
    set_number(lua, "REPL_NONE", 0);
    set_number(lua, "REPL_AOF", 1);
    set_number(lua, "REPL_SLAVE", 2);
    set_number(lua, "REPL_REPLICA", 2);
    set_number(lua, "REPL_ALL", 3);
    lua_pushliteral(lua, REDIS_VERSION);
    lua_setfield(lua, -2, "REDIS_VERSION");
    set_number(lua, "REDIS_VERSION_NUM", REDIS_VERSION_NUM);
}

int script_open_redis(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"call", script_redis_call},
        {"pcall", script_redis_pcall},
        {"error_reply", error_reply},
        {"status_reply", status_reply},
        {"setresp", set_protocol},
        {"sha1hex", sha1hex},
        {"log", log_message},
        {"set_repl", set_repl},
        {"replicate_commands", replicate_commands},
        {"breakpoint", breakpoint},
        {"debug", debug},
        {"acl_check_cmd", acl_check_cmd},
    };
    lua_createtable(lua, 0, 32);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        lua_pushlightuserdata(lua, script_engine_of(lua));
        lua_pushcclosure(lua, functions[i].func, 1);
        lua_setfield(lua, -2, functions[i].name);
    }
    set_constants(lua);
    return 1;
}
