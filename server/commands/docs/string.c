/* What COMMAND DOCS tells of the commands on strings. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"append", "2.0.0", "Adds bytes at a string's end.", "O(1) amortized", "key value"},
    {"decr", "1.0.0", "Takes 1 from the integer at a key.", "O(1)", "key"},
    {"decrby", "1.0.0", "Takes from the integer at a key.", "O(1)", "key decrement(integer)"},
    {"delex", "8.4.0", "Takes a key away, if its string is, or is not, the given one.", "O(1)",
     "key [condition<IFEQ ifeq-value|IFNE ifne-value>]"},
    {"delifeq", "9.0.0", "Takes a key away if its string is the given one.", "O(1)", "key value"},
    {"get", "1.0.0", "Returns the string at a key, or null.", "O(1)", "key"},
    {"getdel", "6.2.0", "Returns the string at a key and takes the key away.", "O(1)", "key"},
    {"getex", "6.2.0", "Returns the string at a key and sets or clears its expiry.", "O(1)",
     "key [expiration<EX seconds(integer)|PX milliseconds(integer)|EXAT unix-time-seconds(unix-time)|"
     "PXAT unix-time-milliseconds(unix-time)|PERSIST>]"},
    {"getrange", "2.4.0", "Returns a part of a string.", "O(N) with N bytes returned",
     "key start(integer) end(integer)"},
    {"getset", "1.0.0", "Stores a string and returns the one before.", "O(1)", "key value", .deprecated_since = "6.2.0",
     .replaced_by = "SET with GET"},
    {"incr", "1.0.0", "Adds 1 to the integer at a key.", "O(1)", "key"},
    {"incrby", "1.0.0", "Adds to the integer at a key.", "O(1)", "key increment(integer)"},
    {"incrbyfloat", "2.6.0", "Adds to the decimal number at a key.", "O(1)", "key increment(double)"},
    {"lcs", "7.0.0", "Returns the longest common subsequence of two strings.", "O(N*M) with the strings' lengths",
     "key1(key) key2(key) [LEN] [IDX] [MINMATCHLEN min-match-len(integer)] [WITHMATCHLEN]"},
    {"mget", "1.0.0", "Returns the strings at several keys.", "O(N) with N keys", "key..."},
    {"mset", "1.0.1", "Stores several strings at once.", "O(N) with N keys", "data{key value}..."},
    {"msetex", "8.4.0", "Stores several strings on a condition, with an expiry.", "O(N) with N keys",
     "numkeys(integer) data{key value}... [condition<NX|XX>] [expiration<EX seconds(integer)|PX milliseconds(integer)|"
     "EXAT unix-time-seconds(unix-time)|PXAT unix-time-milliseconds(unix-time)|KEEPTTL>]"},
    {"msetnx", "1.0.1", "Stores several strings if none of the keys exists.", "O(N) with N keys", "data{key value}..."},
    {"psetex", "2.6.0", "Stores a string that expires after so many milliseconds.", "O(1)",
     "key milliseconds(integer) value", .deprecated_since = "2.6.12", .replaced_by = "SET with PX"},
    {"set", "1.0.0", "Stores a string, whatever the key held before.", "O(1)",
     "key value [condition<NX|XX|IFEQ ifeq-value@8.4.0|IFNE ifne-value@8.4.0>@2.6.12] [GET@6.2.0] "
     "[expiration<EX seconds(integer)@2.6.12|PX milliseconds(integer)@2.6.12|EXAT unix-time-seconds(unix-time)@6.2.0|"
     "PXAT unix-time-milliseconds(unix-time)@6.2.0|KEEPTTL@6.0.0>]",
     .history = "2.6.12 EX, PX, NX and XX.\n"
                "6.0.0 KEEPTTL.\n"
                "6.2.0 GET, EXAT and PXAT.\n"
                "7.0.0 NX together with GET.\n"
                "8.4.0 IFEQ and IFNE."},
    {"setex", "2.0.0", "Stores a string that expires after so many seconds.", "O(1)", "key seconds(integer) value",
     .deprecated_since = "2.6.12", .replaced_by = "SET with EX"},
    {"setnx", "1.0.0", "Stores a string if the key is absent.", "O(1)", "key value", .deprecated_since = "2.6.12",
     .replaced_by = "SET with NX"},
    {"setrange", "2.2.0", "Overwrites a part of a string.", "O(N) with N bytes written", "key offset(integer) value"},
    {"strlen", "2.2.0", "Returns a string's length in bytes.", "O(1)", "key"},
    {"substr", "1.0.0", "Returns a part of a string; GETRANGE's old name.", "O(N) with N bytes returned",
     "key start(integer) end(integer)", .deprecated_since = "2.0.0", .replaced_by = "GETRANGE"},
    {.name = NULL},
};

const struct command_docs string_docs = {"string", docs};
