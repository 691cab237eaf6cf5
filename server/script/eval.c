/* EVAL and its kin, SCRIPT. Server process. */
#include "server/script/commands.h"
#include "server/core/config/config.h"
#include "server/core/settings.h"
#include "server/script/cache.h"
#include "server/script/convert.h"
#include "server/script/long_run.h"
#include "server/script/parts.h"
#include "server/script/scripts.h"
#include "server/script/shebang.h"

static void eval(struct call *call, bool read_only)
{
    char error[SCRIPT_ERROR_MAX];
    struct scripts *s = call->core->scripts;
    uint32_t keys;
    script_show_monitors(call);
    if (!script_keys_fit(call, 2, &keys)) return;
    const struct cached_script *script = script_cache_get(s->cache, call->argv[1], error);
    if (!script) return script_reply_error(call->reply, bytes_from_text(error));
    script_run(s->engine, &script->script, call, 2, keys, read_only);
}

static void eval_command(struct call *call)
{
    eval(call, false);
}

static void eval_ro_command(struct call *call)
{
    eval(call, true);
}

static void evalsha(struct call *call, bool read_only)
{
    struct scripts *s = call->core->scripts;
    uint32_t keys;
    script_show_monitors(call);
    if (!script_keys_fit(call, 2, &keys)) return;
    const struct cached_script *script = script_cache_find(s->cache, call->argv[1]);
    if (!script) return reply_error(call->reply, "NOSCRIPT No matching script. Please use EVAL.");
    script_run(s->engine, &script->script, call, 2, keys, read_only);
}

static void evalsha_command(struct call *call)
{
    evalsha(call, false);
}

static void evalsha_ro_command(struct call *call)
{
    evalsha(call, true);
}

/* --- what the gate asks --- */

static uint32_t eval_flags(const struct core *core, uint32_t flags, uint32_t argc, const struct bytes *argv)
{
    uint32_t says;
    size_t skipped;
    char error[SHEBANG_ERROR_MAX];
    (void)core;
    if (argc < 2 || script_read_shebang(argv[1], &says, &skipped, error)) return flags;
    return script_command_flags(flags, says);
}

static uint32_t evalsha_flags(const struct core *core, uint32_t flags, uint32_t argc, const struct bytes *argv)
{
    const struct cached_script *script = argc < 2 ? NULL : script_cache_find(core->scripts->cache, argv[1]);
    return script ? script_command_flags(flags, script->script.flags) : flags;
}

/* --- SCRIPT --- */

static void script_load(struct call *call)
{
    char error[SCRIPT_ERROR_MAX];
    struct script_cache *cache = call->core->scripts->cache;
    struct cached_script *script = script_cache_get(cache, call->argv[2], error);
    if (!script) return script_reply_error(call->reply, bytes_from_text(error));
    script_cache_keep(cache, script);
    reply_bulk(call->reply, bytes_make(script->digest.text, SCRIPT_DIGEST_CHARS));
}

static void script_exists(struct call *call)
{
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++)
        reply_integer(call->reply, script_cache_find(call->core->scripts->cache, call->argv[i]) != NULL);
}

static void script_flush(struct call *call)
{
    bool aside = call->core->settings->keyspace.lazyfree_lazy_user_flush;
    bool told = call->argc == 3 && (call_arg_is(call, 2, "async") || call_arg_is(call, 2, "sync"));
    if (call->argc > 2 && !told) return reply_error(call->reply, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
    if (told) aside = call_arg_is(call, 2, "async");
    script_cache_flush(call->core->scripts->cache, aside);
    reply_ok(call->reply);
}

static void script_kill_command(struct call *call)
{
    script_kill(call->core->scripts->engine, call, false);
}

static void script_debug(struct call *call)
{
    if (!call_arg_is(call, 2, "no") && !call_arg_is(call, 2, "yes") && !call_arg_is(call, 2, "sync"))
        return reply_error(call->reply, "ERR Use SCRIPT DEBUG YES/SYNC/NO");
    if (call_arg_is(call, 2, "no")) return reply_ok(call->reply);
    reply_error(call->reply, "ERR The Lua debugger is not built into this server: SCRIPT DEBUG can only say NO");
}

static void script_help(struct call *call)
{
    static const char *const lines[] = {
        "DEBUG (YES|SYNC|NO)",
        "    Set the debug mode for subsequent scripts executed.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Return information about the existence of the scripts in the script cache.",
        "FLUSH [ASYNC|SYNC]",
        "    Flush the Lua scripts cache. Very dangerous on replicas.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the scripts cache.",
        "    * SYNC: Synchronously flush the scripts cache.",
        "KILL",
        "    Kill the currently executing Lua script.",
        "LOAD <script>",
        "    Load a script into the scripts cache without executing it.",
        NULL,
    };
    call_help(call, lines);
}

#define EVAL (CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR | CMD_NO_MANDATORY_KEYS | CMD_MOVABLE_KEYS | CMD_OWN_FLAGS)

#define UNKNOWN_USE    "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"
#define UNKNOWN_USE_RO "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"
#define COUNTED(flags_, notes_)                                                                                        \
    KEYS({.flags = (flags_), .index = 2, .find = FIND_KEYNUM, .first_key = 1, .step = 1, .notes = (notes_)})

static const struct command script_subcommands[] = {
    {"debug", script_debug, 3, CMD_NOSCRIPT, CAT_SCRIPTING},
    {"exists", script_exists, -3, CMD_NOSCRIPT, CAT_SCRIPTING,
     .tips = TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_AGG_LOGICAL_AND},
    {"flush", script_flush, -2, CMD_NOSCRIPT, CAT_SCRIPTING,
     .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {"help", script_help, 2, CMD_LOADING | CMD_STALE, CAT_SCRIPTING},
    {"kill", script_kill_command, 2, CMD_NOSCRIPT | CMD_ALLOW_BUSY, CAT_SCRIPTING,
     .tips = TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_ONE_SUCCEEDED},
    {"load", script_load, 3, CMD_NOSCRIPT | CMD_STALE, CAT_SCRIPTING,
     .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {.name = NULL},
};

const struct command eval_commands[] = {
    {"eval", eval_command, -3, EVAL | CMD_MAY_REPLICATE, CAT_SCRIPTING,
     COUNTED(KEY_RW | KEY_ACCESS | KEY_UPDATE, UNKNOWN_USE), .request_flags = eval_flags},
    {"evalsha", evalsha_command, -3, EVAL | CMD_MAY_REPLICATE, CAT_SCRIPTING,
     COUNTED(KEY_RW | KEY_ACCESS | KEY_UPDATE, NULL), .request_flags = evalsha_flags},
    {"eval_ro", eval_ro_command, -3, EVAL | CMD_READONLY, CAT_SCRIPTING, COUNTED(KEY_RO | KEY_ACCESS, UNKNOWN_USE_RO),
     .request_flags = eval_flags},
    {"evalsha_ro", evalsha_ro_command, -3, EVAL | CMD_READONLY, CAT_SCRIPTING, COUNTED(KEY_RO | KEY_ACCESS, NULL),
     .request_flags = evalsha_flags},
    {"script", call_unknown_subcommand, -2, 0, 0, .subcommands = script_subcommands},
    {.name = NULL},
};
