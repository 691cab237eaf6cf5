/* What COMMAND DOCS tells of the commands on hashes. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"hdel", "2.0.0", "Removes fields of a hash, and the hash with the last of them.", "O(N) with N fields",
     "key field...", .history = "2.4.0 Several fields in one call."},
    {"hexists", "2.0.0", "Tells whether a hash has a field.", "O(1)", "key field"},
    {"hexpire", "7.4.0", "Lets fields of a hash expire after some seconds.", "O(N) with N fields",
     "key seconds(integer) [condition<NX|XX|GT|LT>] FIELDS fields{numfields(integer) field...}"},
    {"hexpireat", "7.4.0", "Lets fields of a hash expire at a time in seconds.", "O(N) with N fields",
     "key unix-time-seconds(unix-time) [condition<NX|XX|GT|LT>] FIELDS fields{numfields(integer) field...}"},
    {"hexpiretime", "7.4.0", "Tells at which second fields of a hash expire.", "O(N) with N fields",
     "key FIELDS fields{numfields(integer) field...}"},
    {"hget", "2.0.0", "Returns one field's value.", "O(1)", "key field"},
    {"hgetall", "2.0.0", "Returns a whole hash, fields and values.", "O(N) with N fields", "key"},
    {"hgetdel", "8.0.0", "Returns fields' values and removes the fields.", "O(N) with N fields",
     "key FIELDS fields{numfields(integer) field...}"},
    {"hgetex", "8.0.0", "Returns fields' values and sets or clears the fields' expiry.", "O(N) with N fields",
     "key [expiration<EX seconds(integer)|PX milliseconds(integer)|EXAT unix-time-seconds(unix-time)|"
     "PXAT unix-time-milliseconds(unix-time)|PERSIST>] "
     "FIELDS fields{numfields(integer) field...}"},
    {"hincrby", "2.0.0", "Adds to the integer in a field of a hash.", "O(1)", "key field increment(integer)"},
    {"hincrbyfloat", "2.6.0", "Adds to the decimal number in a field of a hash.", "O(1)",
     "key field increment(double)"},
    {"hkeys", "2.0.0", "Lists the fields of a hash.", "O(N) with N fields", "key"},
    {"hlen", "2.0.0", "Counts the fields of a hash.", "O(1)", "key"},
    {"hmget", "2.0.0", "Returns several fields' values.", "O(N) with N fields", "key field..."},
    {"hmset", "2.0.0", "Sets fields of a hash; HSET's old form.", "O(N) with N fields", "key data{field value}...",
     .deprecated_since = "4.0.0", .replaced_by = "HSET with several fields"},
    {"hpersist", "7.4.0", "Takes the expiry of fields of a hash away.", "O(N) with N fields",
     "key FIELDS fields{numfields(integer) field...}"},
    {"hpexpire", "7.4.0", "Lets fields of a hash expire after some milliseconds.", "O(N) with N fields",
     "key milliseconds(integer) [condition<NX|XX|GT|LT>] FIELDS fields{numfields(integer) field...}"},
    {"hpexpireat", "7.4.0", "Lets fields of a hash expire at a time in milliseconds.", "O(N) with N fields",
     "key unix-time-milliseconds(unix-time) [condition<NX|XX|GT|LT>] FIELDS fields{numfields(integer) field...}"},
    {"hpexpiretime", "7.4.0", "Tells at which millisecond fields of a hash expire.", "O(N) with N fields",
     "key FIELDS fields{numfields(integer) field...}"},
    {"hpttl", "7.4.0", "Tells in how many milliseconds fields of a hash expire.", "O(N) with N fields",
     "key FIELDS fields{numfields(integer) field...}"},
    {"hrandfield", "6.2.0", "Returns fields of a hash drawn at random.", "O(N) with N fields returned",
     "key [options{count(integer) [WITHVALUES]}]"},
    {"hscan", "2.8.0", "Walks over the fields and values of a hash, a few at a time.",
     "O(1) a call, O(N) for a whole walk",
     "key cursor(integer) [MATCH pattern(pattern)] [COUNT count(integer)] [NOVALUES]"},
    {"hset", "2.0.0", "Sets fields of a hash.", "O(N) with N fields", "key data{field value}...",
     .history = "4.0.0 Several fields and values in one call."},
    {"hsetex", "8.0.0", "Sets fields of a hash together with their expiry.", "O(N) with N fields",
     "key [condition<FNX|FXX>] ["
     "expiration<EX seconds(integer)|PX milliseconds(integer)|EXAT unix-time-seconds(unix-time)|"
     "PXAT unix-time-milliseconds(unix-time)|KEEPTTL>] "
     "FIELDS fields{numfields(integer) data{field value}...}"},
    {"hsetnx", "2.0.0", "Sets a field of a hash if it is absent.", "O(1)", "key field value"},
    {"hstrlen", "3.2.0", "Returns how long a field's value is.", "O(1)", "key field"},
    {"httl", "7.4.0", "Tells in how many seconds fields of a hash expire.", "O(N) with N fields",
     "key FIELDS fields{numfields(integer) field...}"},
    {"hvals", "2.0.0", "Lists the values of a hash.", "O(N) with N fields", "key"},
    {.name = NULL},
};

const struct command_docs hash_docs = {"hash", docs};
