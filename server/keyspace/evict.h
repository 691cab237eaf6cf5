/* What eviction remembers between calls: the best candidates met so far. */
#ifndef SLIPSTREAM_KEYSPACE_EVICT_H
#define SLIPSTREAM_KEYSPACE_EVICT_H

#include <stdint.h>

#define EVICTION_POOL_SIZE 16

/* A key named by its hash and its record's handle: if either has changed, the key is gone or was rewritten, and the
 * candidate is dropped. */
struct eviction_candidate {
    uint64_t score; /* higher: evicted sooner */
    uint64_t hash;
    uint32_t handle;
    int database;
};

struct eviction {
    struct eviction_candidate pool[EVICTION_POOL_SIZE]; /* ascending by score */
    int candidates;
    int next_database; /* random policies take databases in turn */
};

#endif
