/* FCALL and its kin, FUNCTION. Server process.
 *
 * What changes the libraries is a write like any other: replicas and the append-only file get
 * the request as it came. */
#include "rdb/function_payload.h"
#include "server/base/alloc.h"
#include "server/base/glob.h"
#include "server/base/number.h"
#include "server/core/session/busy.h"
#include "server/core/settings.h"
#include "server/net/loop.h"
#include "server/script/commands.h"
#include "server/script/functions.h"
#include "server/script/long_run.h"
#include "server/script/parts.h"
#include "server/script/scripts.h"

#include <stdio.h>

/* What a library's code may take when it is loaded: Redis's figure for a new one; longer for one that has been loaded
 * elsewhere, where Redis does not look at all. */
#define LOAD_TIMEOUT_MS    500
#define RESTORE_TIMEOUT_MS 5000
#define TRUSTED_TIMEOUT_MS 60000 /* our master has done it in time */

static struct libraries *libraries_of(const struct core *core)
{
    return keyspace_libraries(core->keyspace);
}

/* --- FCALL --- */

static void fcall(struct call *call, bool read_only)
{
    const struct function *f = functions_find(libraries_of(call->core), call->argv[1]);
    int64_t number;
    uint32_t keys;
    script_show_monitors(call);
    if (!f) return reply_error(call->reply, "ERR Function not found");
    if (parse_i64(call->argv[2], &number)) return reply_error(call->reply, "ERR Bad number of keys provided");
    if (script_keys_fit(call, 2, &keys)) script_run(call->core->scripts->engine, &f->script, call, 2, keys, read_only);
}

static void fcall_command(struct call *call)
{
    fcall(call, false);
}

static void fcall_ro_command(struct call *call)
{
    fcall(call, true);
}

static uint32_t fcall_flags(const struct core *core, uint32_t flags, uint32_t argc, const struct bytes *argv)
{
    const struct function *f = argc < 2 ? NULL : functions_find(libraries_of(core), argv[1]);
    return f ? script_command_flags(flags, f->script.flags) : flags;
}

/* --- changing the libraries --- */

static void reply_library_error(struct call *call, const char *error)
{
    reply_errorf(call->reply, "ERR %s", error);
}

static int64_t timeout_ms(const struct call *call, int64_t of_clients)
{
    return call->session->kind == SESSION_CLIENT ? of_clients : TRUSTED_TIMEOUT_MS;
}

static void function_load(struct call *call)
{
    bool replace = false;
    for (uint32_t i = 2; i < call->argc - 1; i++) {
        if (!call_arg_is(call, i, "replace"))
            return reply_errorf(call->reply, "ERR Unknown option given: %.*s", (int)call->argv[i].len,
                                (const char *)call->argv[i].ptr);
        replace = true;
    }
    char error[LIBRARY_ERROR_BYTES];
    const struct function_library *loaded;
    if (functions_load(call->core->scripts->engine, libraries_of(call->core), call->argv[call->argc - 1], replace,
                       timeout_ms(call, LOAD_TIMEOUT_MS), &loaded, error))
        return reply_library_error(call, error);
    call_changed(call, 1);
    reply_bulk(call->reply, loaded->name);
}

static void function_delete(struct call *call)
{
    if (functions_delete(libraries_of(call->core), call->argv[2]))
        return reply_error(call->reply, "ERR Library not found");
    call_changed(call, 1);
    reply_ok(call->reply);
}

/* Whoever takes too many arguments is told so in these words. */
static void reply_too_many(struct call *call)
{
    reply_errorf(call->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try FUNCTION HELP.",
                 (int)call->argv[1].len, (const char *)call->argv[1].ptr);
}

static void function_flush(struct call *call)
{
    bool aside = call->core->settings->keyspace.lazyfree_lazy_user_flush;
    if (call->argc > 3) return reply_too_many(call);
    if (call->argc == 3) {
        aside = call_arg_is(call, 2, "async");
        if (!aside && !call_arg_is(call, 2, "sync"))
            return reply_error(call->reply, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
    }
    functions_flush(libraries_of(call->core), aside);
    call_changed(call, 1);
    reply_ok(call->reply);
}

static bool read_policy(const struct call *call, enum functions_restore *policy)
{
    *policy = RESTORE_APPEND;
    if (call->argc < 4 || call_arg_is(call, 3, "append")) return true;
    *policy = call_arg_is(call, 3, "flush") ? RESTORE_FLUSH : RESTORE_REPLACE;
    return *policy == RESTORE_FLUSH || call_arg_is(call, 3, "replace");
}

static void function_restore(struct call *call)
{
    enum functions_restore policy;
    char error[LIBRARY_ERROR_BYTES];
    if (call->argc > 4) return reply_too_many(call);
    if (!read_policy(call, &policy))
        return reply_error(call->reply,
                           "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.");
    if (!rdb_payload_intact(call->argv[2], !call->core->settings->rdb.ignore_checksum))
        return reply_error(call->reply, "ERR DUMP payload version or checksum are wrong");
    if (functions_restore(call->core->scripts->engine, libraries_of(call->core), call->argv[2], policy,
                          timeout_ms(call, RESTORE_TIMEOUT_MS), error))
        return reply_library_error(call, error);
    call_changed(call, 1);
    reply_ok(call->reply);
}

/* --- looking at them --- */

static void function_dump(struct call *call)
{
    struct rdb_payload payload = rdb_dump_libraries(libraries_of(call->core), call->core->settings->rdb.compress);
    reply_bulk(call->reply, bytes_make(payload.data, payload.len));
    mem_free(payload.data);
}

static void reply_function(struct reply *reply, const struct function *f)
{
    reply_map(reply, 3);
    reply_bulk_text(reply, "name");
    reply_bulk(reply, f->name);
    reply_bulk_text(reply, "description");
    if (f->description.ptr)
        reply_bulk(reply, f->description);
    else
        reply_null(reply);
    reply_bulk_text(reply, "flags");
    script_reply_flags(reply, f->script.flags);
}

static void reply_library(struct reply *reply, const struct function_library *library, bool with_code)
{
    reply_map(reply, with_code ? 4 : 3);
    reply_bulk_text(reply, "library_name");
    reply_bulk(reply, library->name);
    reply_bulk_text(reply, "engine");
    reply_bulk_text(reply, "LUA");
    reply_bulk_text(reply, "functions");
    reply_array(reply, library->count);
    for (size_t i = 0; i < library->count; i++) reply_function(reply, library->functions[i]);
    if (!with_code) return;
    reply_bulk_text(reply, "library_code");
    reply_bulk(reply, library->source);
}

struct list_options {
    struct bytes pattern; /* ptr NULL: none */
    bool with_code;
};

/* false: answered. */
static bool read_list_options(struct call *call, struct list_options *o)
{
    *o = (struct list_options){0};
    for (uint32_t i = 2; i < call->argc; i++) {
        if (!o->with_code && call_arg_is(call, i, "withcode")) {
            o->with_code = true;
        } else if (!o->pattern.ptr && call_arg_is(call, i, "libraryname")) {
            if (++i == call->argc) {
                reply_error(call->reply, "ERR library name argument was not given");
                return false;
            }
            o->pattern = call->argv[i];
        } else {
            reply_errorf(call->reply, "ERR Unknown argument %.*s", (int)call->argv[i].len,
                         (const char *)call->argv[i].ptr);
            return false;
        }
    }
    return true;
}

static void function_list(struct call *call)
{
    struct list_options o;
    if (!read_list_options(call, &o)) return;
    const struct libraries *l = libraries_of(call->core);
    struct reply_deferred list;
    size_t count = 0;
    reply_deferred_begin(call->reply, &list);
    for (size_t i = 0; i < l->count; i++) {
        const struct function_library *library = l->functions->in_order[i];
        if (o.pattern.ptr && !glob_match(o.pattern, library->name, true)) continue;
        reply_library(call->reply, library, o.with_code);
        count++;
    }
    reply_deferred_array(call->reply, &list, count);
}

static void reply_running(struct reply *reply, const struct script_run *run)
{
    const struct call *call = run->call;
    reply_map(reply, 3);
    reply_bulk_text(reply, "name");
    reply_bulk_text(reply, run->script->name);
    reply_bulk_text(reply, "command");
    reply_array(reply, call->argc);
    for (uint32_t i = 0; i < call->argc; i++) reply_bulk(reply, call->argv[i]);
    reply_bulk_text(reply, "duration_ms");
    reply_integer(reply, loop_monotonic_ms(call->core->loop) - run->started_ms);
}

static void function_stats(struct call *call)
{
    const struct script_run *run = &call->core->scripts->engine->run;
    struct function_memory m;
    if (run->script && !run->script->is_function) return reply_error(call->reply, call->core->busy->refusal);
    libraries_measure(libraries_of(call->core), &m);
    reply_map(call->reply, 2);
    reply_bulk_text(call->reply, "running_script");
    if (run->script)
        reply_running(call->reply, run);
    else
        reply_null(call->reply);
    reply_bulk_text(call->reply, "engines");
    reply_map(call->reply, 1);
    reply_bulk_text(call->reply, "LUA");
    reply_map(call->reply, 2);
    reply_bulk_text(call->reply, "libraries_count");
    reply_integer(call->reply, (int64_t)m.libraries);
    reply_bulk_text(call->reply, "functions_count");
    reply_integer(call->reply, (int64_t)m.functions);
}

static void function_kill(struct call *call)
{
    script_kill(call->core->scripts->engine, call, true);
}

static void function_help(struct call *call)
{
    static const char *const lines[] = {
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Create a new library with the given library name and code.",
        "DELETE <LIBRARY NAME>",
        "    Delete the given library.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return general information on all the libraries:",
        "    * Library name",
        "    * The engine used to run the Library",
        "    * Library description",
        "    * Functions list",
        "    * Library code (if WITHCODE is given)",
        "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
        "STATS",
        "    Return information about the current function running:",
        "    * Function name",
        "    * Command used to run the function",
        "    * Duration in MS that the function is running",
        "    If no function is running, return nil",
        "    In addition, returns a list of available engines.",
        "KILL",
        "    Kill the current running function.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all the libraries.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the libraries.",
        "    * SYNC: Synchronously flush the libraries.",
        "DUMP",
        "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE "
        "command",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
        "    control how to handle existing libraries (default APPEND):",
        "    * FLUSH: delete all existing libraries.",
        "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
        "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
        "      libraries with the new libraries (notice that even on this option there is a chance of failure",
        "      in case of functions name collision with another library).",
        NULL,
    };
    call_help(call, lines);
}

#define FCALL (CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR | CMD_NO_MANDATORY_KEYS | CMD_MOVABLE_KEYS | CMD_OWN_FLAGS)
#define COUNTED(flags_, use_)                                                                                          \
    KEYS({.flags = (flags_),                                                                                           \
          .index = 2,                                                                                                  \
          .find = FIND_KEYNUM,                                                                                         \
          .first_key = 1,                                                                                              \
          .step = 1,                                                                                                   \
          .notes = "We cannot tell how the keys will be used so we assume the worst, " use_})
#define ALL_SHARDS (TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_ALL_SUCCEEDED)

static const struct command function_subcommands[] = {
    {"delete", function_delete, 3, CMD_NOSCRIPT | CMD_WRITE, CAT_SCRIPTING, .tips = ALL_SHARDS},
    {"dump", function_dump, 2, CMD_NOSCRIPT, CAT_SCRIPTING},
    {"flush", function_flush, -2, CMD_NOSCRIPT | CMD_WRITE, CAT_SCRIPTING, .tips = ALL_SHARDS},
    {"help", function_help, 2, CMD_LOADING | CMD_STALE, CAT_SCRIPTING},
    {"kill", function_kill, 2, CMD_NOSCRIPT | CMD_ALLOW_BUSY, CAT_SCRIPTING,
     .tips = TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_ONE_SUCCEEDED},
    {"list", function_list, -2, CMD_NOSCRIPT, CAT_SCRIPTING, .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {"load", function_load, -3, CMD_NOSCRIPT | CMD_WRITE | CMD_DENYOOM, CAT_SCRIPTING, .tips = ALL_SHARDS},
    {"restore", function_restore, -3, CMD_NOSCRIPT | CMD_WRITE | CMD_DENYOOM, CAT_SCRIPTING, .tips = ALL_SHARDS},
    {"stats", function_stats, 2, CMD_NOSCRIPT | CMD_ALLOW_BUSY, CAT_SCRIPTING,
     .tips = TIP_NONDETERMINISTIC_OUTPUT | TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_SPECIAL},
    {.name = NULL},
};

const struct command function_commands[] = {
    {"fcall", fcall_command, -3, FCALL, CAT_SCRIPTING, COUNTED(KEY_RW | KEY_ACCESS | KEY_UPDATE, "RW and UPDATE"),
     .request_flags = fcall_flags},
    {"fcall_ro", fcall_ro_command, -3, FCALL | CMD_READONLY, CAT_SCRIPTING,
     COUNTED(KEY_RO | KEY_ACCESS, "RO and ACCESS"), .request_flags = fcall_flags},
    {"function", call_unknown_subcommand, -2, 0, 0, .subcommands = function_subcommands},
    {.name = NULL},
};
