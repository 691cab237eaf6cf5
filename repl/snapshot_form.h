/* In which form a follower gets its snapshot. Server process of the master; pure.
 *
 * Nobody says which RDB it can read, but some say who they are:
 *
 *   who                        says                                reads, at most
 *   ours                       capa slipstream-lz4, version 9.0.0  everything
 *   Redis 8                    capa rdb-channel-repl               RDB 12
 *   Valkey 9                   version 9.x.y                       VALKEY080, RDB 11
 *   Valkey 8                   version 8.x.y                       RDB 11
 *   Redis 6.2, 7.0, 7.2, 7.4   nothing that tells them apart       RDB 9, 10, 11, 12
 *
 * as was seen of 6.2.6, 7.0.15, 8.0.6 and 9.1.2. Who says nothing gets what rdb-write-for says, and, when that was in a
 * version that it went away from, the next lower form. One for whom fields of hashes that expire have no form is not
 * served while there are any. */
#ifndef SLIPSTREAM_REPL_SNAPSHOT_FORM_H
#define SLIPSTREAM_REPL_SNAPSHOT_FORM_H

#include "rdb/settings.h"
#include "repl/replication.h"

bool snapshot_form_announced(const struct follower_hello *hello); /* it says who it is */
/* configured: rdb-write-for. refused: the RDB version that it did not take over; 0: none. */
enum rdb_write_for snapshot_form(const struct follower_hello *hello, enum rdb_write_for configured, int refused);

#endif
