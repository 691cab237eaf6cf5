/* Lists in an RDB. */
#ifndef SLIPSTREAM_RDB_TYPE_LIST_H
#define SLIPSTREAM_RDB_TYPE_LIST_H

#include "rdb/type.h"

extern const struct rdb_type_loader rdb_list_loader;
extern const struct rdb_type_loader rdb_list_ziplist_loader;
extern const struct rdb_type_loader rdb_list_quicklist_loader;
extern const struct rdb_type_loader rdb_list_quicklist_2_loader;
extern const struct rdb_type_saver rdb_list_saver;

#endif
