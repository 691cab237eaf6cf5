/* CLUSTER, READONLY, READWRITE, ASKING and MODULE, as a server without cluster mode and without modules answers them:
 * clients ask at their start, and take any other error for a fault. Server process. */
#include "server/base/log.h"
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"

static void disabled(struct call *call)
{
    reply_error(call->reply, "ERR This instance has cluster support disabled");
}

#define ADMIN  (CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING)
#define VARIES TIP_NONDETERMINISTIC_OUTPUT

static const struct command cluster_subcommands[] = {
    {"addslots", disabled, -3, ADMIN, 0},
    {"addslotsrange", disabled, -4, ADMIN, 0},
    {"bumpepoch", disabled, 2, ADMIN, 0, .tips = VARIES},
    {"count-failure-reports", disabled, 3, CMD_ADMIN | CMD_STALE, 0, .tips = VARIES},
    {"countkeysinslot", disabled, 3, CMD_STALE, 0},
    {"delslots", disabled, -3, ADMIN, 0},
    {"delslotsrange", disabled, -4, ADMIN, 0},
    {"failover", disabled, -2, ADMIN, 0},
    {"flushslots", disabled, 2, ADMIN, 0},
    {"forget", disabled, 3, ADMIN, 0},
    {"getkeysinslot", disabled, 4, CMD_STALE, 0, .tips = VARIES},
    {"help", disabled, 2, CMD_LOADING | CMD_STALE, 0},
    {"info", disabled, 2, CMD_STALE, 0, .tips = VARIES},
    {"keyslot", disabled, 3, CMD_STALE, 0},
    {"links", disabled, 2, CMD_STALE, 0, .tips = VARIES},
    {"meet", disabled, -4, ADMIN, 0},
    {"myid", disabled, 2, CMD_STALE, 0},
    {"myshardid", disabled, 2, CMD_STALE, 0, .tips = VARIES},
    {"nodes", disabled, 2, CMD_STALE, 0, .tips = VARIES},
    {"replicas", disabled, 3, CMD_ADMIN | CMD_STALE, 0, .tips = VARIES},
    {"replicate", disabled, 3, ADMIN, 0},
    {"reset", disabled, -2, CMD_ADMIN | CMD_STALE | CMD_NOSCRIPT, 0},
    {"saveconfig", disabled, 2, ADMIN, 0},
    {"set-config-epoch", disabled, 3, ADMIN, 0},
    {"setslot", disabled, -4, ADMIN, 0},
    {"shards", disabled, 2, CMD_STALE, 0, .tips = VARIES},
    {"slaves", disabled, 3, CMD_ADMIN | CMD_STALE, 0, .tips = VARIES},
    {"slots", disabled, 2, CMD_STALE, 0, .tips = VARIES},
    {.name = NULL},
};

/* --- MODULE --- */

static void module_list(struct call *call)
{
    reply_array(call->reply, 0);
}

/* Where enable-module-command lets a caller in, a library that does not load is what he hears of, as from Redis; to
 * others we do not say that the directive would help. */
static bool is_let_in(struct call *call)
{
    int enabled = call->core->settings->server.enable_module_command;
    const struct session *s = call->session;
    if (enabled == 1 || (enabled == 2 && s->owner && s->owner->is_local(s))) return true;
    reply_error(call->reply, "ERR MODULE command not allowed: there are no modules in this server");
    return false;
}

static void module_load(struct call *call)
{
    if (!is_let_in(call)) return;
    log_warning("Module %.*s failed to load: there are no modules in this server", (int)call->argv[2].len,
                (const char *)call->argv[2].ptr);
    reply_error(call->reply, "ERR Error loading the extension. Please check the server logs.");
}

static void module_unload(struct call *call)
{
    if (is_let_in(call)) reply_error(call->reply, "ERR Error unloading module: no such module with that name");
}

static void module_help(struct call *call)
{
    static const char *const lines[] = {
        "LIST",
        "    The loaded modules: none.",
        "LOAD <path> [<arg> ...]",
        "    Is refused: there are no modules.",
        "LOADEX <path> [[CONFIG <name> <value>] ...] [ARGS <arg> ...]",
        "    Is refused: there are no modules.",
        "UNLOAD <name>",
        "    Is refused: there are no modules.",
        NULL,
    };
    call_help(call, lines);
}

#define LOADS (CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING)

static const struct command module_subcommands[] = {
    {"help", module_help, 2, CMD_LOADING | CMD_STALE, 0},
    {"list", module_list, 2, CMD_ADMIN | CMD_NOSCRIPT, 0, .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER},
    {"load", module_load, -3, LOADS, 0},
    {"loadex", module_load, -3, LOADS, 0},
    {"unload", module_unload, 3, LOADS, 0},
    {.name = NULL},
};

/* --- the rows --- */

const struct command cluster_commands[] = {
    {"asking", disabled, 1, CMD_FAST, CAT_CONNECTION},
    {"cluster", call_unknown_subcommand, -2, 0, 0, .subcommands = cluster_subcommands},
    {"module", call_unknown_subcommand, -2, 0, 0, .subcommands = module_subcommands},
    {"readonly", disabled, 1, CMD_LOADING | CMD_STALE | CMD_FAST, CAT_CONNECTION},
    {"readwrite", disabled, 1, CMD_LOADING | CMD_STALE | CMD_FAST, CAT_CONNECTION},
    {.name = NULL},
};
