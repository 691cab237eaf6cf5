/* What COMMAND DOCS tells of the commands on transactions. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"discard", "2.0.0", "Drops the queued commands.", "O(N) with N queued commands"},
    {"exec", "1.2.0", "Runs the queued commands.", "that of the queued commands"},
    {"multi", "1.2.0", "Begins a transaction.", "O(1)"},
    {"unwatch", "2.2.0", "Drops what WATCH has asked for.", "O(1)"},
    {"watch", "2.2.0", "Lets EXEC fail if one of the keys changes before it.", "O(1) per key", "key..."},
    {.name = NULL},
};

const struct command_docs transactions_docs = {"transactions", docs};
