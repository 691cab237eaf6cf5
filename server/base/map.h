/* A small open-addressing map from byte strings to pointers: channels, watched keys, names. Not the keyspace.
 *
 * The map copies its keys and owns the copies; values are the caller's. Its slots grow and shrink with what it holds,
 * whenever an entry comes or goes: neither is allowed while iterating. Single thread. */
#ifndef SLIPSTREAM_BASE_MAP_H
#define SLIPSTREAM_BASE_MAP_H

#include "server/base/bytes.h"

struct map_entry {
    struct bytes key; /* NULL ptr: empty or removed slot */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_entry *slots; /* NULL until the first insert */
    size_t capacity;         /* a power of two, or 0 */
    size_t count;
    size_t used; /* count plus removed slots */
    size_t key_bytes;
};

void map_init(struct map *m);                         /* all zero is an empty map too */
void map_clear(struct map *m);                        /* frees keys and slots, not values */
void *map_get(const struct map *m, struct bytes key); /* NULL when absent */
void **map_slot(struct map *m, struct bytes key);     /* value's place, inserted as NULL when absent */
void *map_remove(struct map *m, struct bytes key);    /* the value, or NULL */

static inline size_t map_memory(const struct map *m)
{
    return m->capacity * sizeof(struct map_entry) + m->key_bytes;
}

/* for (struct map_entry *e = map_next(m, NULL); e; e = map_next(m, e)) */
struct map_entry *map_next(const struct map *m, struct map_entry *previous);

#endif
