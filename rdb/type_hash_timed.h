/* Hashes whose fields expire, in an RDB. */
#ifndef SLIPSTREAM_RDB_TYPE_HASH_TIMED_H
#define SLIPSTREAM_RDB_TYPE_HASH_TIMED_H

#include "rdb/type.h"
#include "server/data/hash.h"

extern const struct rdb_type_loader rdb_hash_metadata_loader;
extern const struct rdb_type_loader rdb_hash_listpack_ex_loader;
extern const struct rdb_type_loader rdb_valkey_hash_2_loader;

/* Of a timed one; see struct rdb_type_saver. */
uint8_t rdb_timed_hash_type(const struct hash *h, enum rdb_write_for write_for);
void rdb_timed_hash_save(struct rdb_encoder *out, const struct hash *h);

#endif
