/* CONFIG: the configuration as clients see it. The directives themselves stand in core's config*.c. Server process. */
#include "server/base/alloc.h"
#include "server/commands/tables.h"
#include "server/core/clients/clients.h"
#include "server/core/command/command_table.h"
#include "server/core/command/stats.h"
#include "server/core/config/config.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/settings.h"
#include "server/net/pool/pool.h"

struct pairs {
    struct reply *reply;
    size_t count;
};

static void reply_pair(void *context, struct bytes name, struct bytes value)
{
    struct pairs *pairs = context;
    reply_bulk(pairs->reply, name);
    reply_bulk(pairs->reply, value);
    pairs->count++;
}

static void config_get_command(struct call *call)
{
    struct pairs pairs = {call->reply, 0};
    struct reply_deferred deferred;
    reply_deferred_begin(call->reply, &deferred);
    config_get(call->core->config, call->argc - 2, call->argv + 2, &(struct config_get_sink){reply_pair, &pairs});
    reply_deferred_map(call->reply, &deferred, pairs.count);
}

/* enable-protected-configs: 0 nobody, 1 everybody, 2 who comes from this machine. */
static bool may_set_protected(const struct call *call)
{
    int allowed = call->core->settings->server.enable_protected_configs;
    const struct client *client = call->session->client;
    return allowed == 1 || (allowed == 2 && client && address_is_loopback(&client->peer));
}

static void config_set_command(struct call *call)
{
    char error[512];
    for (uint32_t i = 2; i + 1 < call->argc; i += 2)
        if (config_is_secret(call->argv[i])) call_secret_arg(call, i + 1);
    if (call->argc % 2) return call_syntax_error(call);
    bool done =
        config_set(call->core->config, call->core, call->argc / 2 - 1, call->argv + 2, may_set_protected(call), error);
    if (done)
        reply_ok(call->reply);
    else
        reply_error(call->reply, error);
}

static void config_resetstat_command(struct call *call)
{
    struct keyspace_stats *keys = keyspace_stats(call->core->keyspace);
    stats_reset(call->core->stats);
    pool_reset_counts(call->core->io_threads);
    command_table_reset_stats(call->core->commands);
    *keys = (struct keyspace_stats){.lazyfree_pending = keys->lazyfree_pending};
    reply_ok(call->reply);
}

static void config_rewrite_command(struct call *call)
{
    char error[512];
    if (config_rewrite(call->core->config, false, error)) return reply_error(call->reply, error);
    log_notice("CONFIG REWRITE executed with success.");
    reply_ok(call->reply);
}

static void config_help_command(struct call *call)
{
    static const char *const lines[] = {
        "GET <pattern> [<pattern> ...]",
        "    Return the directives whose names match a glob-style pattern, with their values.",
        "SET <directive> <value> [<directive> <value> ...]",
        "    Set directives, all of them or none.",
        "RESETSTAT",
        "    Set the counters that INFO shows back to zero.",
        "REWRITE",
        "    Write changed directives to the configuration file.",
        NULL,
    };
    call_help(call, lines);
}

#define ADMIN (CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)

static const struct command config_subcommands[] = {
    {"get", config_get_command, -3, ADMIN, 0},
    {"set", config_set_command, -4, ADMIN, 0, .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {"resetstat", config_resetstat_command, 2, ADMIN, 0, .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {"rewrite", config_rewrite_command, 2, ADMIN, 0, .tips = TIP_REQUEST_ALL_NODES | TIP_RESPONSE_ALL_SUCCEEDED},
    {"help", config_help_command, 2, CMD_LOADING | CMD_STALE, 0},
    {.name = NULL},
};

const struct command config_commands[] = {
    {"config", call_unknown_subcommand, -2, 0, 0, .subcommands = config_subcommands},
    {.name = NULL},
};
