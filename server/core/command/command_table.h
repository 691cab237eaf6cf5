/* All commands by name, with what is counted of each at run time. */
#ifndef SLIPSTREAM_CORE_COMMAND_COMMAND_TABLE_H
#define SLIPSTREAM_CORE_COMMAND_COMMAND_TABLE_H

#include "server/base/prefetch.h"
#include "server/core/command/command.h"

struct acl_vocabulary;
struct command_table;

/* How a request's keys are found; KEYS_IN_ONE_RANGE_VARIED: at the first spec's places, but what is done with them only
 * the row's find_keys knows. */
enum key_finding { KEYS_NONE, KEYS_IN_ONE_RANGE, KEYS_IN_ONE_RANGE_VARIED, KEYS_SEARCHED };

struct command_entry {
    const struct command *row;
    const char *name;                /* what clients call it: the row's, unless renamed */
    const char *full_name;           /* "client|kill" */
    struct command_entry *container; /* NULL for a top-level command */
    struct command_entry *subcommands;
    size_t subcommand_count;
    uint32_t categories;               /* the row's and those that follow from its flags */
    uint16_t id;                       /* by addition, from 0 on; subcommands have the ids behind their container's */
    uint8_t key_finding;               /* enum key_finding */
    int first_key, last_key, key_step; /* derived from the first key spec; 0: none */
    const struct command_doc *doc;     /* NULL until described, as is the group */
    const char *group;
    char line[CACHE_LINE_BYTES]; /* I/O threads read what stands above while the loop counts */
    uint64_t calls, ticks, rejected, failed;
    uint64_t *latency_us; /* histogram for INFO latencystats; NULL until the first call */
};

struct command_table *command_table_new(void);
/* rows: an array that ends with a row without a name. */
void command_table_add(struct command_table *t, const struct command *rows);
/* Those rows alone, and their subcommands, that have the flag. */
void command_table_add_with(struct command_table *t, const struct command *rows, uint32_t flag);
struct command_entry *command_table_find(const struct command_table *t, struct bytes name); /* any case; NULL: none */
/* Gives every entry its document. Documents and entries without their counterpart are a fault of ours. */
void command_table_describe(struct command_table *t, const struct command_docs *const *groups, size_t count);
/* The same, of a table that has only some of the commands. */
void command_table_describe_some(struct command_table *t, const struct command_docs *const *groups, size_t count);
enum command_rename { COMMAND_RENAMED, COMMAND_RENAME_UNKNOWN, COMMAND_RENAME_TAKEN };
/* From now on it answers to `to` alone; to nothing when `to` is empty. It is still described under its own name. */
enum command_rename command_table_rename(struct command_table *t, struct bytes from, struct bytes to);
/* The entry of a request, subcommands resolved; NULL: unknown. A container with an unknown subcommand gives the
 * container. */
struct command_entry *command_table_resolve(const struct command_table *t, uint32_t argc, const struct bytes *argv);
struct command_entry *command_table_find_full(const struct command_table *t, struct bytes name); /* "client|kill" too */
size_t command_table_count(const struct command_table *t);                                       /* top level */
/* for (e = command_table_next(t, NULL); e; e = command_table_next(t, e)) : top level, in order of addition */
struct command_entry *command_table_next(const struct command_table *t, struct command_entry *previous);
/* What users' rules may name: every command under the name it has now, before any is renamed. */
struct acl_vocabulary *command_table_vocabulary(const struct command_table *t);
void command_table_reset_stats(struct command_table *t);

/* The keys of a request (room for argc of them): their number, or -1 when the request is malformed. */
int command_find_keys(const struct command_entry *e, uint32_t argc, const struct bytes *argv, struct found_key *keys);
bool command_takes_keys(const struct command *row);

#endif
