/* The command families: one array of rows each, ending with a row without name, next to its handlers. */
#ifndef SLIPSTREAM_COMMANDS_TABLES_H
#define SLIPSTREAM_COMMANDS_TABLES_H

#include "server/core/command/command.h"

extern const struct command strings_commands[];
extern const struct command strings_conditional_commands[];
extern const struct command lists_commands[];
extern const struct command lists_blocking_commands[];
extern const struct command hashes_commands[];
extern const struct command hash_expiry_commands[];
extern const struct command hash_values_commands[];
extern const struct command geo_commands[];
extern const struct command bitmaps_commands[];
extern const struct command hyperloglogs_commands[];
extern const struct command sets_commands[];
extern const struct command set_algebra_commands[];
extern const struct command streams_commands[];
extern const struct command streams_read_commands[];
extern const struct command streams_groups_commands[];
extern const struct command streams_claim_commands[];
extern const struct command streams_info_commands[];
extern const struct command streams_delete_commands[];
extern const struct command sorted_sets_commands[];
extern const struct command zset_range_commands[];
extern const struct command zset_algebra_commands[];
extern const struct command zset_pop_commands[];
extern const struct command keys_commands[];
extern const struct command dump_commands[];
extern const struct command migrate_commands[];
extern const struct command sort_commands[];
extern const struct command expire_commands[];
extern const struct command scan_commands[];
extern const struct command connection_commands[];
extern const struct command acl_commands[];
extern const struct command client_commands[];
extern const struct command pubsub_commands[];
extern const struct command transaction_commands[];
extern const struct command config_commands[];
extern const struct command info_commands[];
extern const struct command server_commands[];
extern const struct command slowlog_commands[];
extern const struct command latency_commands[];
extern const struct command memory_commands[];
extern const struct command debug_commands[];
extern const struct command command_commands[];
extern const struct command replication_commands[];
extern const struct command cluster_commands[];

#endif
