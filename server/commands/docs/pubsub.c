/* What COMMAND DOCS tells of the commands on publishing and subscribing. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"psubscribe", "2.0.0", "Listens to channels by pattern.", "O(N) with N patterns", "pattern(pattern)..."},
    {"publish", "2.0.0", "Sends a message to all who listen to a channel.", "O(N+M) with N subscribers and M patterns",
     "channel message"},
    {"pubsub", "2.8.0", "Tells about channels and their subscribers.", "depends on the subcommand"},
    {"pubsub|channels", "2.8.0", "Lists the channels with subscribers.", "O(N) with N channels", "[pattern(pattern)]"},
    {"pubsub|help", "6.2.0", "Lists the subcommands.", "O(1)"},
    {"pubsub|numpat", "2.8.0", "Counts the patterns subscribed to.", "O(1)"},
    {"pubsub|numsub", "2.8.0", "Counts who listens to channels.", "O(N) with N channels asked for", "[channel...]"},
    {"pubsub|shardchannels", "7.0.0", "Lists the shard channels with subscribers.", "O(N) with N channels",
     "[pattern(pattern)]"},
    {"pubsub|shardnumsub", "7.0.0", "Counts who listens to shard channels.", "O(N) with N channels asked for",
     "[shardchannel...]"},
    {"punsubscribe", "2.0.0", "Stops listening by pattern.", "O(N) with N patterns", "[pattern(pattern)...]"},
    {"spublish", "7.0.0", "Sends a message to all who listen to a shard channel.", "O(N) with N subscribers",
     "shardchannel message"},
    {"ssubscribe", "7.0.0", "Listens to shard channels.", "O(N) with N channels", "shardchannel..."},
    {"subscribe", "2.0.0", "Listens to channels.", "O(N) with N channels", "channel..."},
    {"sunsubscribe", "7.0.0", "Stops listening to shard channels.", "O(N) with N channels", "[shardchannel...]"},
    {"unsubscribe", "2.0.0", "Stops listening to channels.", "O(N) with N channels", "[channel...]"},
    {.name = NULL},
};

const struct command_docs pubsub_docs = {"pubsub", docs};
