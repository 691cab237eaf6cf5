/* The vocabulary of rules: every command and subcommand with its number and categories. Server process.
 *
 * A command is known by the name it was born with, whatever `rename-command` calls it later. A number is an index: a
 * user's permissions are one bit for each. Filled once, at start, from the command table. */
#ifndef SLIPSTREAM_ACL_VOCABULARY_H
#define SLIPSTREAM_ACL_VOCABULARY_H

#include "server/base/map.h"

#define ACL_COMMANDS_MAX 1024

struct acl_command {
    const char *name; /* in full, lower case: "client|kill"; the caller's, for ever */
    uint32_t categories;
    uint16_t id;          /* its place in `commands` */
    uint16_t subcommands; /* how many: they stand right behind it */
    bool is_subcommand;
};

struct acl_vocabulary {
    struct acl_command commands[ACL_COMMANDS_MAX];
    size_t count;
    struct map by_name;
};

struct acl_vocabulary *acl_vocabulary_new(void);
/* The next number, which must be `command->id`. */
void acl_vocabulary_add(struct acl_vocabulary *v, const struct acl_command *command);
const struct acl_command *acl_vocabulary_find(const struct acl_vocabulary *v, struct bytes name); /* any case */

#endif
