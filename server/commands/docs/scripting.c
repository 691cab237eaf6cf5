/* What COMMAND DOCS tells of the commands on scripts. Server process. */
#include "server/commands/docs/docs.h"

#define SCRIPT_TIME   "that of the script"
#define FUNCTION_TIME "that of the function"

static const struct command_doc docs[] = {
    {"eval", "2.6.0", "Runs a script.", SCRIPT_TIME, "script numkeys(integer) [key...] [arg...]"},
    {"eval_ro", "7.0.0", "Runs a script that only reads.", SCRIPT_TIME, "script numkeys(integer) [key...] [arg...]"},
    {"evalsha", "2.6.0", "Runs a cached script by its digest.", SCRIPT_TIME, "sha1 numkeys(integer) [key...] [arg...]"},
    {"evalsha_ro", "7.0.0", "Runs a cached script, which only reads, by its digest.", SCRIPT_TIME,
     "sha1 numkeys(integer) [key...] [arg...]"},
    {"fcall", "7.0.0", "Calls a function.", FUNCTION_TIME, "function numkeys(integer) [key...] [arg...]"},
    {"fcall_ro", "7.0.0", "Calls a function that only reads.", FUNCTION_TIME,
     "function numkeys(integer) [key...] [arg...]"},
    {"function", "7.0.0", "Looks after function libraries.", "that of the subcommand"},
    {"function|delete", "7.0.0", "Deletes a library and its functions.", "O(1)", "library-name"},
    {"function|dump", "7.0.0", "Gives all libraries as one payload.", "O(N) with N bytes of code"},
    {"function|flush", "7.0.0", "Deletes all libraries.", "O(N) with N functions", "[flush-type<ASYNC|SYNC>]"},
    {"function|help", "7.0.0", "Explains the subcommands.", "O(1)"},
    {"function|kill", "7.0.0", "Stops a function that runs too long.", "O(1)"},
    {"function|list", "7.0.0", "Tells of the libraries and their functions.", "O(N) with N functions",
     "[LIBRARYNAME library-name-pattern] [WITHCODE]"},
    {"function|load", "7.0.0", "Makes a library of its code.", "O(1), and the time that its code takes",
     "[REPLACE] function-code"},
    {"function|restore", "7.0.0", "Makes the libraries of a payload.", "O(N) with N functions of the payload",
     "serialized-value [policy<FLUSH|APPEND|REPLACE>]"},
    {"function|stats", "7.0.0", "Tells of the function that runs, and counts them.", "O(1)"},
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
