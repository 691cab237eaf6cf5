/* Streams in an RDB. */
#ifndef SLIPSTREAM_RDB_TYPE_STREAM_H
#define SLIPSTREAM_RDB_TYPE_STREAM_H

#include "rdb/type.h"

extern const struct rdb_type_loader rdb_stream_loader;
extern const struct rdb_type_loader rdb_stream_2_loader;
extern const struct rdb_type_loader rdb_stream_3_loader;
extern const struct rdb_type_saver rdb_stream_saver;

#endif
