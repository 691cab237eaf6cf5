/* A base file of commands: aof-use-rdb-preamble no. The snapshot child writes it, and the server at its first
 * start; any Redis loads it.
 *
 * The commands are those that Redis writes (seen in files of redis-server 7.0.15): FUNCTION LOAD for each library, then
 * for each database SELECT, and for each key one of
 *
 *   SET key value                        a string
 *   RPUSH, SADD, ZADD, HMSET key ...     a collection, at most 64 elements at a time
 *   XADD, XSETID, XGROUP, XCLAIM         a stream, its groups, and what is pending in them
 *
 * and PEXPIREAT where it has an expiry. For Redis 6.2 (rdb-write-for) what it does not know is left out: libraries, and
 * what streams remember since 7.0. */
#ifndef SLIPSTREAM_AOF_BASE_COMMANDS_H
#define SLIPSTREAM_AOF_BASE_COMMANDS_H

#include "rdb/writer.h"

/* The whole keyspace, written to fd. Of the options: progress, incremental_fsync, write_for, and the delay for tests.
 * 0, or -1 with errno. */
int aof_base_write_commands(struct keyspace *ks, int fd, const struct rdb_write_options *options);

#endif
