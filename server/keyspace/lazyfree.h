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

enum lazyfree_how {
    FREE_HERE,    /* before the function returns */
    FREE_QUICKLY, /* by a worker when there are so many keys that it takes long, else what is huge among their values */
    FREE_ASIDE,   /* by a worker */
};

/* Frees every record of the table, and the store it has to itself. Takes both; the caller's copy is to be initialised
 * again. */
void lazyfree_table(const struct table *t, enum lazyfree_how how);

#endif
