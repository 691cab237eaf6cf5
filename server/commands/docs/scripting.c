/* What COMMAND DOCS tells of the commands on scripts. Server process. */
#include "server/commands/docs/docs.h"

#define SCRIPT_TIME "that of the script"

static const struct command_doc docs[] = {
    {"eval", "2.6.0", "Runs a script.", SCRIPT_TIME, "script numkeys(integer) [key...] [arg...]"},
    {"eval_ro", "7.0.0", "Runs a script that only reads.", SCRIPT_TIME, "script numkeys(integer) [key...] [arg...]"},
    {"evalsha", "2.6.0", "Runs a cached script by its digest.", SCRIPT_TIME,
     "sha1 numkeys(integer) [key...] [arg...]"},
    {"evalsha_ro", "7.0.0", "Runs a cached script, which only reads, by its digest.", SCRIPT_TIME,
     "sha1 numkeys(integer) [key...] [arg...]"},
    {"script", "2.6.0", "Looks after scripts.", "that of the subcommand"},
    {"script|debug", "3.2.0", "Would run scripts in a debugger.", "O(1)", "mode<YES|SYNC|NO>"},
    {"script|exists", "2.6.0", "Says which scripts are cached.", "O(N) with N digests", "sha1..."},
    {"script|flush", "2.6.0", "Forgets all cached scripts.", "O(N) with N cached scripts",
     "[flush-type<ASYNC|SYNC>@6.2.0]", .history = "6.2.0 ASYNC and SYNC."},
    {"script|help", "5.0.0", "Explains the subcommands.", "O(1)"},
    {"script|kill", "2.6.0", "Stops a script that runs too long.", "O(1)"},
    {"script|load", "2.6.0", "Caches a script.", "O(N) with N bytes of script", "script"},
    {.name = NULL},
};

const struct command_docs scripting_docs = {"scripting", docs};
