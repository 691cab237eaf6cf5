/* What COMMAND DOCS tells of a Sentinel's commands. Sentinel process. */
#include "server/sentinel/commands.h"

static const struct command_doc docs[] = {
    {"sentinel", "2.8.4", "Asks and tells a Sentinel.", "depends on the subcommand"},
    {"sentinel|ckquorum", "2.8.4", "Tells whether a fail-over could be agreed on now.", "", "master-name"},
    {"sentinel|config", "6.2.0", "Shows or sets what holds for all masters.", "O(N) with N parameters",
     "action parameter [value]"},
    {"sentinel|debug", "7.0.0", "Shows the periods by which a Sentinel works, or sets them.", "O(N) with N periods",
     "[data{parameter value}...]"},
    {"sentinel|failover", "2.8.4", "Makes a replica the master, without asking other Sentinels.", "", "master-name"},
    {"sentinel|flushconfig", "2.8.4", "Writes the configuration file.", "O(1)"},
    {"sentinel|get-master-addr-by-name", "2.8.4", "Tells where a master is.", "O(1)", "master-name"},
    {"sentinel|help", "6.2.0", "Lists the subcommands.", "O(1)"},
    {"sentinel|info-cache", "3.2.0", "Shows the last INFO of masters and their replicas.", "O(N) with N instances",
     "master-name..."},
    {"sentinel|is-master-down-by-addr", "2.8.4", "Tells whether a master is down in this Sentinel's eyes, and votes.",
     "O(1)", "ip port(integer) current-epoch(integer) runid"},
    {"sentinel|master", "2.8.4", "Shows a master.", "O(1)", "master-name"},
    {"sentinel|masters", "2.8.4", "Shows all masters.", "O(N) with N masters"},
    {"sentinel|monitor", "2.8.4", "Begins to watch a master.", "O(1)", "name ip port(integer) quorum(integer)"},
    {"sentinel|myid", "6.2.0", "Tells the Sentinel's id.", "O(1)"},
    {"sentinel|pending-scripts", "2.8.4", "Shows the scripts that run or wait.", ""},
    {"sentinel|remove", "2.8.4", "Watches a master no more.", "O(1)", "master-name"},
    {"sentinel|replicas", "5.0.0", "Shows the replicas of a master.", "O(N) with N replicas", "master-name"},
    {"sentinel|reset", "2.8.4", "Forgets the replicas and Sentinels of masters, to find them anew.",
     "O(N) with N masters", "pattern"},
    {"sentinel|sentinels", "2.8.4", "Shows the other Sentinels of a master.", "O(N) with N Sentinels", "master-name"},
    {"sentinel|set", "2.8.4", "Changes how a master is watched.", "O(1)", "master-name data{option value}..."},
    {"sentinel|simulate-failure", "3.2.0", "Makes a Sentinel end at a moment of a fail-over, as a test.", "",
     "[mode<CRASH-AFTER-ELECTION|CRASH-AFTER-PROMOTION|HELP>...]"},
    {"sentinel|slaves", "2.8.0", "Shows the replicas of a master.", "O(N) with N replicas", "master-name",
     .deprecated_since = "5.0.0", .replaced_by = "`SENTINEL REPLICAS`"},
    {.name = NULL},
};

const struct command_docs sentinel_docs = {"sentinel", docs};
