/* Strings in an RDB. */
#ifndef SLIPSTREAM_RDB_TYPE_STRING_H
#define SLIPSTREAM_RDB_TYPE_STRING_H

#include "rdb/type.h"

extern const struct rdb_type_loader rdb_string_loader;
extern const struct rdb_type_saver rdb_string_saver;

#endif
