/* Hashes in an RDB. */
#ifndef SLIPSTREAM_RDB_TYPE_HASH_H
#define SLIPSTREAM_RDB_TYPE_HASH_H

#include "rdb/type.h"

extern const struct rdb_type_loader rdb_hash_loader;
extern const struct rdb_type_loader rdb_hash_zipmap_loader;
extern const struct rdb_type_loader rdb_hash_ziplist_loader;
extern const struct rdb_type_loader rdb_hash_listpack_loader;
extern const struct rdb_type_saver rdb_hash_saver;

#endif
