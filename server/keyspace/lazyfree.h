/* Freeing what records own outside the store, at once or by a background thread. */
#ifndef SLIPSTREAM_KEYSPACE_LAZYFREE_H
#define SLIPSTREAM_KEYSPACE_LAZYFREE_H

#include "server/keyspace/table.h"

/* A value no record refers to any more. memory NULL: it lay inside the record, nothing to free. */
struct orphan {
    void *memory;
    uint8_t kind;
};

struct orphan record_orphan(const struct record *r); /* the value of r; whoever frees it must drop or overwrite r */
/* By a worker when it is large or, with aside false, only when it is huge. */
void orphan_free(const struct orphan *o, bool aside);
void record_free_outside(const struct record *r, bool aside); /* key and value */

enum lazyfree_how {
    FREE_HERE,    /* before the function returns */
    FREE_QUICKLY, /* by a worker when there are so many keys that it takes long, else what is huge among their values */
    FREE_ASIDE,   /* by a worker */
};

/* Frees every record of the tables and then their store. Takes the store; copies the tables. */
void lazyfree_store(struct store *store, const struct table *tables, int count, enum lazyfree_how how);

size_t lazyfree_take_freed(void); /* objects freed aside since the last call */

#endif
