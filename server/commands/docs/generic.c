/* What COMMAND DOCS tells of the commands on keys of any type. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"copy", "6.2.0", "Copies a value to another key.", "O(N) with N elements",
     "source(key) destination(key1) [DB destination-db(integer)] [REPLACE]"},
    {"del", "1.0.0", "Deletes keys, whatever they hold.", "O(N) with N keys", "key..."},
    {"dump", "2.6.0", "Returns a value as bytes that RESTORE takes.", "O(N) with the value's size", "key"},
    {"exists", "1.0.0", "Counts which of the keys exist.", "O(N) with N keys", "key...",
     .history = "3.0.3 Several keys in one call."},
    {"expire", "1.0.0", "Lets a key expire after so many seconds.", "O(1)",
     "key seconds(integer) [condition<NX|XX|GT|LT>@7.0.0]", .history = "7.0.0 NX, XX, GT and LT."},
    {"expireat", "1.2.0", "Sets when a key expires, in Unix seconds.", "O(1)",
     "key unix-time-seconds(unix-time) [condition<NX|XX|GT|LT>@7.0.0]", .history = "7.0.0 NX, XX, GT and LT."},
    {"expiretime", "7.0.0", "Returns when a key expires, in Unix seconds.", "O(1)", "key"},
    {"keys", "1.0.0", "Lists every key that fits a pattern.", "O(N) with N keys in the database", "pattern(pattern)"},
    {"migrate", "2.6.0", "Moves keys to another server.", "O(N) with the values' size",
     "host port(integer) key-selector<key|empty-string=> destination-db(integer) timeout(integer) [COPY@3.0.0] "
     "[REPLACE@3.0.0] [authentication<AUTH auth=password@4.0.7|AUTH2 auth2{username password}@6.0.0>] "
     "[KEYS keys=key(key1)...@3.0.6]",
     .history = "3.0.0 COPY and REPLACE.\n"
                "3.0.6 KEYS.\n"
                "4.0.7 AUTH.\n"
                "6.0.0 AUTH2."},
    {"move", "1.0.0", "Takes a key over into another database.", "O(1)", "key db(integer)"},
    {"object", "2.2.3", "Looks inside a value.", "depends on the subcommand"},
    {"object|encoding", "2.2.3", "Returns how a value is kept in memory.", "O(1)", "key"},
    {"object|freq", "4.0.0", "Returns how often a key is used, on a logarithmic scale.", "O(1)", "key"},
    {"object|help", "6.2.0", "Lists the subcommands.", "O(1)"},
    {"object|idletime", "2.2.3", "Returns the seconds since a key was last used.", "O(1)", "key"},
    {"object|refcount", "2.2.3", "Returns the number of references to a value.", "O(1)", "key"},
    {"persist", "2.2.0", "Takes away when a key expires.", "O(1)", "key"},
    {"pexpire", "2.6.0", "Lets a key expire after so many milliseconds.", "O(1)",
     "key milliseconds(integer) [condition<NX|XX|GT|LT>@7.0.0]", .history = "7.0.0 NX, XX, GT and LT."},
    {"pexpireat", "2.6.0", "Sets when a key expires, in Unix milliseconds.", "O(1)",
     "key unix-time-milliseconds(unix-time) [condition<NX|XX|GT|LT>@7.0.0]", .history = "7.0.0 NX, XX, GT and LT."},
    {"pexpiretime", "7.0.0", "Returns when a key expires, in Unix milliseconds.", "O(1)", "key"},
    {"pttl", "2.6.0", "Returns the milliseconds a key has left.", "O(1)", "key",
     .history = "2.8.0 -2 for a key that is not there."},
    {"randomkey", "1.0.0", "Returns a random key.", "O(1)"},
    {"rename", "1.0.0", "Gives a value another key, replacing what was there.", "O(1)", "key newkey(key1)"},
    {"renamenx", "1.0.0", "Gives a value another key if that is free.", "O(1)", "key newkey(key1)",
     .history = "3.2.0 Both keys may be the same."},
    {"restore", "2.6.0", "Stores a value from the bytes that DUMP returned.", "O(N) with the value's size",
     "key ttl(integer) serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME seconds(integer)@5.0.0] "
     "[FREQ frequency(integer)@5.0.0]",
     .history = "3.0.0 REPLACE.\n"
                "5.0.0 ABSTTL.\n"
                "5.0.0 IDLETIME and FREQ."},
    {"scan", "2.8.0", "Walks over the keys, a few at a time.", "O(1) a call, O(N) for a whole walk",
     "cursor(integer) [MATCH pattern(pattern)] [COUNT count(integer)] [TYPE type@6.0.0]", .history = "6.0.0 TYPE."},
    {"sort", "1.0.0", "Returns or stores the elements of a list, set or sorted set in order.",
     "O(N+M*log(M)) with N elements, of which M are sorted",
     "key [BY by-pattern=pattern(pattern1)] [LIMIT limit{offset(integer) count(integer)}] "
     "[GET... get-pattern=pattern(pattern1)] [order<ASC|DESC>] [sorting=ALPHA] [STORE destination(key2)]"},
    {"sort_ro", "7.0.0", "Returns the elements of a list, set or sorted set in order, and never stores them.",
     "O(N+M*log(M)) with N elements, of which M are sorted",
     "key [BY by-pattern=pattern(pattern1)] [LIMIT limit{offset(integer) count(integer)}] "
     "[GET... get-pattern=pattern(pattern1)] [order<ASC|DESC>] [sorting=ALPHA]"},
    {"touch", "3.2.1", "Marks keys as just used and counts them.", "O(N) with N keys", "key..."},
    {"ttl", "1.0.0", "Returns the seconds a key has left.", "O(1)", "key",
     .history = "2.8.0 -2 for a key that is not there."},
    {"type", "1.0.0", "Returns the type of a value.", "O(1)", "key"},
    {"unlink", "4.0.0", "Deletes keys, freeing large values aside.", "O(1) per key", "key..."},
    {"wait", "3.0.0", "Waits until enough replicas have acknowledged what was written.", "O(1)",
     "numreplicas(integer) timeout(integer)"},
    {"waitaof", "7.2.0", "Waits until what was written is in the append-only file, here and at enough replicas.",
     "O(1)", "numlocal(integer) numreplicas(integer) timeout(integer)"},
    {.name = NULL},
};

const struct command_docs generic_docs = {"generic", docs};
