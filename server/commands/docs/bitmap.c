/* What COMMAND DOCS tells of the commands on bits of strings. Server process. */
#include "server/commands/docs/docs.h"

static const struct command_doc docs[] = {
    {"bitcount", "2.6.0", "Counts the bits that are set.", "O(N) with N bytes",
     "key [range{start(integer) end(integer) [unit<BYTE|BIT>@7.0.0]}]",
     .history = "7.0.0 A range counted in bits: BYTE and BIT."},
    {"bitfield", "3.2.0", "Reads and changes numbers of any width inside a string.", "O(1) per number",
     "key [operation<GET get-block{encoding offset(integer)}|write{[OVERFLOW overflow-block<WRAP|SAT|FAIL>] "
     "write-operation<SET set-block{encoding offset(integer) value(integer)}|INCRBY incrby-block{encoding "
     "offset(integer) increment(integer)}>}>...]"},
    {"bitfield_ro", "6.0.0", "Reads numbers of any width inside a string.", "O(1) per number",
     "key [GET... get-block{encoding offset(integer)}]"},
    {"bitop", "2.6.0", "Combines strings bit by bit and stores the result.", "O(N) with N bytes of all strings",
     "operation<AND|OR|XOR|NOT|DIFF@8.2.0|DIFF1@8.2.0|ANDOR@8.2.0|ONE@8.2.0> destkey(key) key(key1)...",
     .history = "8.2.0 DIFF, DIFF1, ANDOR and ONE."},
    {"bitpos", "2.8.7", "Finds the first bit that is set, or clear.", "O(N) with N bytes",
     "key bit(integer) [range{start(integer) [end-unit-block{end(integer) [unit<BYTE|BIT>@7.0.0]}]}]",
     .history = "7.0.0 A range counted in bits: BYTE and BIT."},
    {"getbit", "2.2.0", "Returns a bit of a string.", "O(1)", "key offset(integer)"},
    {"setbit", "2.2.0", "Sets or clears a bit of a string.", "O(1)", "key offset(integer) value(integer)"},
    {.name = NULL},
};

const struct command_docs bitmap_docs = {"bitmap", docs};
