/* The documents behind COMMAND DOCS, one table for each group of commands, in alphabetical order. */
#ifndef SLIPSTREAM_COMMANDS_DOCS_DOCS_H
#define SLIPSTREAM_COMMANDS_DOCS_DOCS_H

#include "server/core/command/command.h"

extern const struct command_docs string_docs;
extern const struct command_docs list_docs;
extern const struct command_docs hash_docs;
extern const struct command_docs set_docs;
extern const struct command_docs sorted_set_docs;
extern const struct command_docs geo_docs;
extern const struct command_docs bitmap_docs;
extern const struct command_docs hyperloglog_docs;
extern const struct command_docs stream_docs;
extern const struct command_docs generic_docs;
extern const struct command_docs connection_docs;
extern const struct command_docs acl_docs;
extern const struct command_docs pubsub_docs;
extern const struct command_docs transactions_docs;
extern const struct command_docs scripting_docs;
extern const struct command_docs server_docs;
extern const struct command_docs cluster_docs;

#endif
