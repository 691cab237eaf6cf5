/* Sets in an RDB. */
#ifndef SLIPSTREAM_RDB_TYPE_SET_H
#define SLIPSTREAM_RDB_TYPE_SET_H

#include "rdb/type.h"

extern const struct rdb_type_loader rdb_set_loader;
extern const struct rdb_type_loader rdb_set_intset_loader;
extern const struct rdb_type_loader rdb_set_listpack_loader;
extern const struct rdb_type_saver rdb_set_saver;

#endif
