/* What COMMAND DOCS tells of the commands on connections. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"auth", "1.0.0", "Tells the server who the client is.", "O(1)", "[username@6.0.0] password",
     .history = "6.0.0 A user name before the password."},
    {"client", "2.4.0", "Looks at and steers connections.", "depends on the subcommand"},
    {"client|caching", "6.0.0", "Says whether the next command's keys are tracked.", "O(1)", "mode<YES|NO>"},
    {"client|getname", "2.6.9", "Returns the connection's name.", "O(1)"},
    {"client|getredir", "6.0.0", "Returns which connection gets the invalidation messages of this one.", "O(1)"},
    {"client|help", "5.0.0", "Lists the subcommands.", "O(1)"},
    {"client|id", "5.0.0", "Returns the connection's id.", "O(1)"},
    {"client|info", "6.2.0", "Describes the connection that asks.", "O(1)"},
    {"client|kill", "2.4.0", "Closes connections by what they are.", "O(N) with N connections",
     "filter<old-format=ip:port!2.8.12|new-format<[ID client-id(integer)@2.8.12]|"
     "[TYPE client-type<NORMAL|MASTER@3.2.0|SLAVE|REPLICA@5.0.0|PUBSUB>@2.8.12]|[USER username]|[ADDR addr=ip:port]|"
     "[LADDR laddr=ip:port@6.2.0]|[SKIPME skipme<YES|NO>]>...>",
     .history = "2.8.12 Filters, by kind and value.\n"
                "2.8.12 ID.\n"
                "3.2.0 TYPE master.\n"
                "5.0.0 TYPE replica; slave still means the same.\n"
                "6.2.0 LADDR."},
    {"client|list", "2.4.0", "Describes all connections, or some of them.", "O(N) with N connections",
     "[TYPE client-type<NORMAL|MASTER|REPLICA|PUBSUB>@5.0.0] [ID client-id(integer)...@6.2.0]",
     .history = "2.8.12 The field id, which is never used twice.\n"
                "5.0.0 TYPE.\n"
                "6.0.0 The field user.\n"
                "6.2.0 ID, and the fields argv-mem, tot-mem, laddr and redir.\n"
                "7.0.0 The fields resp, multi-mem, rbs and rbp.\n"
                "7.0.3 The field ssub."},
    {"client|no-evict", "7.0.0", "Keeps the connection when memory runs short.", "O(1)", "enabled<ON|OFF>"},
    {"client|no-touch", "7.2.0", "Lets the connection read keys without their counting as used.", "O(1)",
     "enabled<ON|OFF>"},
    {"client|pause", "3.0.0", "Holds clients back for some time.", "O(1)", "timeout(integer) [mode<WRITE|ALL>@6.2.0]",
     .history = "6.2.0 A mode: WRITE holds back writes alone."},
    {"client|reply", "3.2.0", "Switches replies to the connection off and on.", "O(1)", "action<ON|OFF|SKIP>"},
    {"client|setinfo", "7.2.0", "Tells the client library's name or version.", "O(1)",
     "attr<LIB-NAME libname|LIB-VER libver>"},
    {"client|setname", "2.6.9", "Names the connection.", "O(1)", "connection-name"},
    {"client|tracking", "6.0.0", "Switches on and off that the connection hears of changed keys.",
     "O(1), O(N) with N prefixes for some options",
     "status<ON|OFF> [REDIRECT client-id(integer)] [PREFIX... prefix] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]"},
    {"client|trackinginfo", "6.2.0", "Tells how the connection's tracking is set.", "O(1)"},
    {"client|unblock", "5.0.0", "Ends another client's waiting.", "O(1)",
     "client-id(integer) [unblock-type<TIMEOUT|ERROR>]"},
    {"client|unpause", "6.2.0", "Lets held clients go on.", "O(N) with N held clients"},
    {"echo", "1.0.0", "Returns its argument.", "O(1)", "message"},
    {"hello", "6.0.0", "Greets the server and chooses the protocol version.", "O(1)",
     "[arguments{protover(integer) [AUTH auth{username password}] [SETNAME clientname]}]",
     .history = "6.2.0 Without a version it only describes the connection."},
    {"ping", "1.0.0", "Answers PONG.", "O(1)", "[message]"},
    {"quit", "1.0.0", "Asks the server to close the connection.", "O(1)", .deprecated_since = "7.2.0",
     .replaced_by = "closing the connection at the client"},
    {"reset", "6.2.0", "Puts the connection back to its first state.", "O(1)"},
    {"select", "1.0.0", "Goes over to another database.", "O(1)", "index(integer)"},
    {.name = NULL},
};

const struct command_docs connection_docs = {"connection", docs};
