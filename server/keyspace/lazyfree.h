/* Freeing what records own outside the store, at once or by a background thread. */
#ifndef SLIPSTREAM_KEYSPACE_LAZYFREE_H
#define SLIPSTREAM_KEYSPACE_LAZYFREE_H

#include "server/keyspace/table.h"

/* A value no record refers to any more. memory NULL: it lay inside the record, nothing to free. */
struct orphan {
    void *memory;
    uint8_t kind;
};

struct orphan record_orphan(const struct record *r);  /* the value of r; whoever frees it must drop or overwrite r */
void orphan_free(const struct orphan *o, bool aside); /* aside: by a worker, when it is large */
void record_free_outside(const struct record *r, bool aside); /* key and value */

/* Frees every record of the tables and then their store. Takes the store; copies the tables. */
void lazyfree_store(struct store *store, const struct table *tables, int count, bool aside);

size_t lazyfree_take_freed(void); /* objects freed aside since the last call */

#endif
