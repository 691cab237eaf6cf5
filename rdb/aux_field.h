/* The named fields at the head of an RDB, as they are read. */
#ifndef SLIPSTREAM_RDB_AUX_FIELD_H
#define SLIPSTREAM_RDB_AUX_FIELD_H

#include "rdb/reader.h"

void rdb_aux_field_init(struct rdb_aux *aux); /* nothing said yet */
/* Keeps what is known in *aux; unknown names and broken numbers change nothing, as in Redis. */
void rdb_aux_field_read(struct rdb_aux *aux, struct bytes name, struct bytes value);
void rdb_aux_field_log(const struct rdb_aux *aux, struct bytes name, struct bytes value, int64_t now_ms);

#endif
