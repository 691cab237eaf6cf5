/* What COMMAND DOCS tells of the commands on users. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"acl", "6.0.0", "Tells and changes who may do what.", "depends on the subcommand"},
    {"acl|cat", "6.0.0", "Lists the categories of commands, or the commands of one.",
     "O(1), the number of categories and commands is fixed", "[category]"},
    {"acl|deluser", "6.0.0", "Deletes users and closes their connections.", "O(1) for each of the usual users",
     "username..."},
    {"acl|dryrun", "7.0.0", "Tells whether a user may run a command, without running it.", "O(1)",
     "username command [arg...]"},
    {"acl|genpass", "6.0.0", "Makes a random password.", "O(1)", "[bits(integer)]"},
    {"acl|getuser", "6.0.0", "Tells a user's rules.", "O(N) with N rules of the user", "username",
     .history = "6.2.0 The patterns of channels.\n"
                "7.0.0 Selectors, and patterns in the form of rules."},
    {"acl|help", "6.0.0", "Lists the subcommands.", "O(1)"},
    {"acl|list", "6.0.0", "Lists all users with their rules.", "O(N) with N users"},
    {"acl|load", "6.0.0", "Reads the users anew from the ACL file.", "O(N) with N users"},
    {"acl|log", "6.0.0", "Lists the last refusals, or forgets them.", "O(N) with N entries shown",
     "[operation<count(integer)|RESET>]",
     .history = "7.2.0 The fields entry-id, timestamp-created and timestamp-last-updated."},
    {"acl|save", "6.0.0", "Writes the users to the ACL file.", "O(N) with N users"},
    {"acl|setuser", "6.0.0", "Makes a user, or changes one's rules.", "O(N) with N rules given", "username [rule...]",
     .history = "6.2.0 Patterns of channels.\n"
                "7.0.0 Selectors, and patterns of keys to read or to write alone."},
    {"acl|users", "6.0.0", "Lists the names of all users.", "O(N) with N users"},
    {"acl|whoami", "6.0.0", "Tells the name of the connection's user.", "O(1)"},
    {.name = NULL},
};

const struct command_docs acl_docs = {"server", docs};
