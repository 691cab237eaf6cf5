/* All commands by name, with what is counted of each at run time. */
#ifndef SLIPSTREAM_CORE_COMMAND_TABLE_H
#define SLIPSTREAM_CORE_COMMAND_TABLE_H

#include "server/core/command.h"

struct command_table;

struct command_entry {
    const struct command *row;
    const char *full_name;           /* "client|kill" */
    struct command_entry *container; /* NULL for a top-level command */
    struct command_entry *subcommands;
    size_t subcommand_count;
    uint32_t categories;               /* the row's and those that follow from its flags */
    int first_key, last_key, key_step; /* derived from the first key spec; 0: none */
    uint64_t calls, ticks, rejected, failed;
    uint64_t *latency_us; /* histogram for INFO latencystats; NULL until the first call */
};

struct command_table *command_table_new(void);
void command_table_add(struct command_table *t,
                       const struct command *rows); /* an array ending with a row without name */
struct command_entry *command_table_find(const struct command_table *t, struct bytes name); /* any case; NULL: none */
struct command_entry *command_table_find_sub(const struct command_entry *container, struct bytes name);
size_t command_table_count(const struct command_table *t); /* top level */
/* for (e = command_table_next(t, NULL); e; e = command_table_next(t, e)) : top level, in order of addition */
struct command_entry *command_table_next(const struct command_table *t, struct command_entry *previous);
void command_table_reset_stats(struct command_table *t);

/* Key positions of a request: fills indexes (room for argc). Count, or -1 when the request is malformed. */
int command_find_keys(const struct command_entry *e, uint32_t argc, const struct bytes *argv, int *indexes);

#endif
