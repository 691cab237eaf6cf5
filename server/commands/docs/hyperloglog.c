/* What COMMAND DOCS tells of the commands on HyperLogLogs. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"pfadd", "2.8.9", "Counts elements into a HyperLogLog.", "O(1) per element", "key [element...]"},
    {"pfcount", "2.8.9", "Estimates how many different elements HyperLogLogs have seen together.",
     "O(1) for one key, O(N) with N keys, each 16384 registers", "key..."},
    {"pfdebug", "2.8.9", "Shows or converts the inside of a HyperLogLog.", "O(1): 16384 registers", "subcommand key",
     .internal = true},
    {"pfmerge", "2.8.9", "Merges HyperLogLogs into the first.", "O(N) with N keys, each 16384 registers",
     "destkey(key) [sourcekey(key1)...]"},
    {"pfselftest", "2.8.9", "Tests the estimate of HyperLogLogs.", "O(1)", .internal = true},
    {.name = NULL},
};

const struct command_docs hyperloglog_docs = {"hyperloglog", docs};
