/* Growth and shrinking of the hash table, for table.c. */
#ifndef SLIPSTREAM_KEYSPACE_TABLE_GROW_H
#define SLIPSTREAM_KEYSPACE_TABLE_GROW_H

#include "server/keyspace/table.h"

/* The directory entry for `hash`, after whatever splits its segment needs to take one entry more. */
uintptr_t table_room(struct table *t, uint64_t hash);
void table_shrink(struct table *t, uint64_t hash); /* an entry has left the segment of `hash` */

/* Puts an entry into a bucket or its chain, in table.c. Counts are the caller's. */
void table_place(struct table *t, struct bucket *b, uint8_t tag, uint32_t handle, bool expiring);

#endif
