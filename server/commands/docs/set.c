/* What COMMAND DOCS tells of the commands on sets. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"sadd", "1.0.0", "Adds members to a set.", "O(N) with N members", "key member...",
     .history = "2.4.0 Several members in one call."},
    {"scard", "1.0.0", "Counts the members of a set.", "O(1)", "key"},
    {"sdiff", "1.0.0", "Returns what the first set has and the others have not.", "O(N) with N members in all sets",
     "key..."},
    {"sdiffstore", "1.0.0", "Stores what the first set has and the others have not.", "O(N) with N members in all sets",
     "destination(key) key(key1)..."},
    {"sinter", "1.0.0", "Returns what all the sets have.", "O(N*M) with N members in the smallest of M sets", "key..."},
    {"sintercard", "7.0.0", "Counts what all the sets have, up to a limit.",
     "O(N*M) with N members in the smallest of M sets", "numkeys(integer) key... [LIMIT limit(integer)]"},
    {"sinterstore", "1.0.0", "Stores what all the sets have.", "O(N*M) with N members in the smallest of M sets",
     "destination(key) key(key1)..."},
    {"sismember", "1.0.0", "Tells whether a set has a member.", "O(1)", "key member"},
    {"smembers", "1.0.0", "Returns a whole set.", "O(N) with N members", "key"},
    {"smismember", "6.2.0", "Tells which of several members a set has.", "O(N) with N members", "key member..."},
    {"smove", "1.0.0", "Takes a member out of one set and puts it into another.", "O(1)",
     "source(key) destination(key1) member"},
    {"spop", "1.0.0", "Removes members of a set drawn at random and returns them.", "O(N) with N members returned",
     "key [count(integer)@3.2.0]", .history = "3.2.0 A count."},
    {"srandmember", "1.0.0", "Returns members of a set drawn at random.", "O(N) with N members returned",
     "key [count(integer)@2.6.0]", .history = "2.6.0 A count."},
    {"srem", "1.0.0", "Removes members of a set, and the set with the last of them.", "O(N) with N members",
     "key member...", .history = "2.4.0 Several members in one call."},
    {"sscan", "2.8.0", "Walks over the members of a set, a few at a time.", "O(1) a call, O(N) for a whole walk",
     "key cursor(integer) [MATCH pattern(pattern)] [COUNT count(integer)]"},
    {"sunion", "1.0.0", "Returns what any of the sets has.", "O(N) with N members in all sets", "key..."},
    {"sunionstore", "1.0.0", "Stores what any of the sets has.", "O(N) with N members in all sets",
     "destination(key) key(key1)..."},
    {.name = NULL},
};

const struct command_docs set_docs = {"set", docs};
