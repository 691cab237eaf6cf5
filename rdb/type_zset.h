/* Sorted sets in an RDB. */
#ifndef SLIPSTREAM_RDB_TYPE_ZSET_H
#define SLIPSTREAM_RDB_TYPE_ZSET_H

#include "rdb/type.h"

extern const struct rdb_type_loader rdb_zset_loader;
extern const struct rdb_type_loader rdb_zset_2_loader;
extern const struct rdb_type_loader rdb_zset_ziplist_loader;
extern const struct rdb_type_loader rdb_zset_listpack_loader;
extern const struct rdb_type_saver rdb_zset_saver;

#endif
