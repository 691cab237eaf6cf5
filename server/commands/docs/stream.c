/* What COMMAND DOCS tells of the commands on streams. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"xack", "5.0.0", "Takes entries off what a group has pending.", "O(N) with N ids", "key group id..."},
    {"xadd", "5.0.0", "Adds an entry to a stream, and may trim it.", "O(1), and O(N) with N entries trimmed",
     "key [NOMKSTREAM@6.2.0] [trim{strategy<MAXLEN|MINID@6.2.0> [operator<equal==|approximately=~>] threshold "
     "[LIMIT count(integer)@6.2.0]}] id-selector<auto-id=*|id> data{field value}...",
     .history = "6.2.0 NOMKSTREAM, MINID and LIMIT.\n"
                "7.0.0 Ids of which only the time is given, as in 5-*."},
    {"xautoclaim", "6.2.0", "Gives entries that have been pending for long to another consumer.",
     "O(N) with N entries looked at", "key group consumer min-idle-time start [COUNT count(integer)] [JUSTID]",
     .history = "7.0.0 A third element of the reply: ids of deleted entries, no longer pending."},
    {"xclaim", "5.0.0", "Gives pending entries to another consumer.", "O(N log M) with N ids and M entries pending",
     "key group consumer min-idle-time id... [IDLE ms(integer)] [TIME unix-time-milliseconds(unix-time)] "
     "[RETRYCOUNT count(integer)] [FORCE] [JUSTID] [LASTID lastid]"},
    {"xdel", "5.0.0", "Removes entries from a stream by their ids.", "O(N) with N ids", "key id..."},
    {"xgroup", "5.0.0", "Manages consumer groups.", "depends on the subcommand"},
    {"xgroup|create", "5.0.0", "Makes a new consumer group for a stream.", "O(1)",
     "key group id-selector<id|new-id=$> [MKSTREAM] [ENTRIESREAD entries-read(integer)]",
     .history = "7.0.0 ENTRIESREAD."},
    {"xgroup|createconsumer", "6.2.0", "Makes a consumer in a group.", "O(1)", "key group consumer"},
    {"xgroup|delconsumer", "5.0.0", "Removes a consumer and what it has pending from a group.",
     "O(N) with N entries pending", "key group consumer"},
    {"xgroup|destroy", "5.0.0", "Removes a consumer group and what it has pending.", "O(N) with N entries pending",
     "key group"},
    {"xgroup|help", "5.0.0", "Lists the subcommands.", "O(1)"},
    {"xgroup|setid", "5.0.0", "Sets how far a consumer group has read.", "O(1)",
     "key group id-selector<id|new-id=$> [ENTRIESREAD entriesread=entries-read(integer)]",
     .history = "7.0.0 ENTRIESREAD."},
    {"xinfo", "5.0.0", "Shows streams from the inside.", "depends on the subcommand"},
    {"xinfo|consumers", "5.0.0", "Returns what is known of a group's consumers.", "O(N) with N consumers", "key group",
     .history = "7.2.0 The field inactive."},
    {"xinfo|groups", "5.0.0", "Returns what is known of a stream's consumer groups.", "O(N) with N groups", "key",
     .history = "7.0.0 The fields entries-read and lag."},
    {"xinfo|help", "5.0.0", "Lists the subcommands.", "O(1)"},
    {"xinfo|stream", "5.0.0", "Returns what is known of a stream.", "O(N) with N nodes of entries",
     "key [full-block{FULL [COUNT count(integer)]}]",
     .history = "6.0.0 FULL.\n"
                "7.0.0 The fields max-deleted-entry-id, entries-added, recorded-first-entry-id, entries-read and lag.\n"
                "7.2.0 The field active-time; seen-time counts every attempt since."},
    {"xlen", "5.0.0", "Returns how many entries a stream has.", "O(1)", "key"},
    {"xpending", "5.0.0", "Returns what a group has delivered and nobody has acknowledged.",
     "O(N) with N entries returned",
     "key group [filters{[IDLE min-idle-time(integer)@6.2.0] start end count(integer) [consumer]}]",
     .history = "6.2.0 IDLE, and ends of the range that are left out themselves."},
    {"xrange", "5.0.0", "Returns a stream's entries between two ids.", "O(N) with N entries returned",
     "key start end [COUNT count(integer)]", .history = "6.2.0 Ends of the range that are left out themselves."},
    {"xread", "5.0.0", "Returns the entries of several streams behind given ids, waiting for them when asked to.",
     "O(N) with N entries returned",
     "[COUNT count(integer)] [BLOCK milliseconds(integer)] STREAMS streams{key... id...}"},
    {"xreadgroup", "5.0.0",
     "Returns entries of several streams to one consumer of a group, waiting for them when asked to.",
     "O(N) with N entries returned",
     "GROUP group-block{group consumer} [COUNT count(integer)] [BLOCK milliseconds(integer)] [NOACK] "
     "STREAMS streams{key... id...}"},
    {"xrevrange", "5.0.0", "Returns a stream's entries between two ids, the last first.",
     "O(N) with N entries returned", "key end start [COUNT count(integer)]",
     .history = "6.2.0 Ends of the range that are left out themselves."},
    {"xsetid", "5.0.0", "Sets a stream's last id and its counters, as replication needs it.", "O(1)",
     "key last-id [ENTRIESADDED entries-added(integer)@7.0.0] [MAXDELETEDID max-deleted-id@7.0.0]",
     .history = "7.0.0 ENTRIESADDED and MAXDELETEDID."},
    {"xtrim", "5.0.0", "Removes a stream's oldest entries, by their number or their ids.",
     "O(N) with N entries removed",
     "key trim{strategy<MAXLEN|MINID@6.2.0> [operator<equal==|approximately=~>] threshold "
     "[LIMIT count(integer)@6.2.0]}",
     .history = "6.2.0 MINID and LIMIT."},
    {.name = NULL},
};

const struct command_docs stream_docs = {"stream", docs};
