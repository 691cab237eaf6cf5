/* The commands of publishing and subscribing. What they mean stands in core/session/pubsub.c. Server process. */
#include "server/base/glob.h"
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/call.h"
#include "server/core/session/pubsub.h"
#include "server/core/session/session.h"

static void subscribe_all(struct call *call, enum pubsub_kind kind)
{
    for (uint32_t i = 1; i < call->argc; i++) pubsub_subscribe(call->core->pubsub, call->session, kind, call->argv[i]);
}

static void unsubscribe_some(struct call *call, enum pubsub_kind kind)
{
    if (call->argc == 1) pubsub_unsubscribe_all(call->core->pubsub, call->session, kind, true);
    for (uint32_t i = 1; i < call->argc; i++)
        pubsub_unsubscribe(call->core->pubsub, call->session, kind, call->argv[i]);
}

static void subscribe_command(struct call *call)
{
    subscribe_all(call, PUBSUB_CHANNEL);
}

static void psubscribe_command(struct call *call)
{
    subscribe_all(call, PUBSUB_PATTERN);
}

static void ssubscribe_command(struct call *call)
{
    subscribe_all(call, PUBSUB_SHARD);
}

static void unsubscribe_command(struct call *call)
{
    unsubscribe_some(call, PUBSUB_CHANNEL);
}

static void punsubscribe_command(struct call *call)
{
    unsubscribe_some(call, PUBSUB_PATTERN);
}

static void sunsubscribe_command(struct call *call)
{
    unsubscribe_some(call, PUBSUB_SHARD);
}

/* Replicas publish to their own subscribers: the message itself travels. */
static void publish_on(struct call *call, bool shard)
{
    size_t receivers = pubsub_publish(call->core->pubsub, call->argv[1], call->argv[2], shard);
    call_rewrite(call, call->db, call->argc, call->argv);
    reply_integer(call->reply, (int64_t)receivers);
}

static void publish_command(struct call *call)
{
    publish_on(call, false);
}

static void spublish_command(struct call *call)
{
    publish_on(call, true);
}

/* --- PUBSUB --- */

static void list_names(struct call *call, enum pubsub_kind kind)
{
    struct reply_deferred d;
    size_t count = 0;
    const struct map *names = pubsub_names(call->core->pubsub, kind);
    if (call->argc > 3) return call_unknown_subcommand(call);
    reply_deferred_begin(call->reply, &d);
    for (struct map_entry *e = map_next(names, NULL); e; e = map_next(names, e)) {
        if (call->argc > 2 && !glob_match(call->argv[2], e->key, false)) continue;
        reply_bulk(call->reply, e->key);
        count++;
    }
    reply_deferred_array(call->reply, &d, count);
}

static void count_subscribers(struct call *call, enum pubsub_kind kind)
{
    reply_array(call->reply, ((size_t)call->argc - 2) * 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        reply_bulk(call->reply, call->argv[i]);
        reply_integer(call->reply, (int64_t)pubsub_subscribers(call->core->pubsub, kind, call->argv[i]));
    }
}

static void pubsub_channels(struct call *call)
{
    list_names(call, PUBSUB_CHANNEL);
}

static void pubsub_shardchannels(struct call *call)
{
    list_names(call, PUBSUB_SHARD);
}

static void pubsub_numsub(struct call *call)
{
    count_subscribers(call, PUBSUB_CHANNEL);
}

static void pubsub_shardnumsub(struct call *call)
{
    count_subscribers(call, PUBSUB_SHARD);
}

static void pubsub_numpat(struct call *call)
{
    reply_integer(call->reply, (int64_t)pubsub_names(call->core->pubsub, PUBSUB_PATTERN)->count);
}

static void pubsub_help(struct call *call)
{
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
        NULL};
    call_help(call, lines);
}

#define LOOKING (CMD_PUBSUB | CMD_LOADING | CMD_STALE)

static const struct command pubsub_subcommands[] = {
    {"channels", pubsub_channels, -2, LOOKING, 0},
    {"help", pubsub_help, 2, CMD_LOADING | CMD_STALE, 0},
    {"numpat", pubsub_numpat, 2, LOOKING, 0},
    {"numsub", pubsub_numsub, -2, LOOKING, 0},
    {"shardchannels", pubsub_shardchannels, -2, LOOKING, 0},
    {"shardnumsub", pubsub_shardnumsub, -2, LOOKING, 0},
    {.name = NULL},
};

#define SUBSCRIBING    (CMD_PUBSUB | CMD_SENTINEL | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_IN_SUBSCRIBED)
#define PUBLISHING     (CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_MAY_REPLICATE)
#define SHARD_CHANNELS KEYS(KEY_RANGE(1, -1, 1, KEY_NOT_KEY))

const struct command pubsub_commands[] = {
    {"subscribe", subscribe_command, -2, SUBSCRIBING, 0, .channels = CHANNELS_FROM_1},
    {"psubscribe", psubscribe_command, -2, SUBSCRIBING, 0, .channels = CHANNEL_PATTERNS_FROM_1},
    {"ssubscribe", ssubscribe_command, -2, SUBSCRIBING & ~CMD_SENTINEL, 0, SHARD_CHANNELS, .channels = CHANNELS_FROM_1},
    {"unsubscribe", unsubscribe_command, -1, SUBSCRIBING, 0},
    {"punsubscribe", punsubscribe_command, -1, SUBSCRIBING, 0},
    {"sunsubscribe", sunsubscribe_command, -1, SUBSCRIBING & ~CMD_SENTINEL, 0, SHARD_CHANNELS},
    {"publish", publish_command, 3, PUBLISHING, 0, .channels = CHANNELS_AT_1},
    {"spublish", spublish_command, 3, PUBLISHING, 0, KEYS(KEY_AT(1, KEY_NOT_KEY)), .channels = CHANNELS_AT_1},
    {"pubsub", call_unknown_subcommand, -2, 0, 0, .subcommands = pubsub_subcommands},
    {.name = NULL},
};
