/* Open addressing with linear probing: small tables of names, where one cache line answers most look-ups. Any process.
 *
 * The full hash is kept with each entry, so that growing never reads the keys and a probe seldom does. A removed entry
 * leaves a mark where a probe must go on past it; marks are swept out when the table is rebuilt. */
#include "server/base/map.h"

#include "server/base/alloc.h"
#include "server/base/hash.h"

#define MIN_CAPACITY 8
#define SPARSE_BELOW 16 /* a table with less than one entry in so many slots is rebuilt: to walk it costs its slots */
#define REMOVED_MARK 1  /* the hash of a removed slot; of an empty one it is 0. Either has no key */

static bool slot_is_empty(const struct map_entry *e)
{
    return !e->key.ptr && e->hash != REMOVED_MARK;
}

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_clear(struct map *m)
{
    for (size_t i = 0; i < m->capacity; i++) mem_free((void *)(uintptr_t)m->slots[i].key.ptr);
    mem_free(m->slots);
    map_init(m);
}

static struct map_entry *find(const struct map *m, struct bytes key, uint64_t hash)
{
    if (m->count == 0) return NULL;
    for (size_t i = hash & (m->capacity - 1);; i = (i + 1) & (m->capacity - 1)) {
        struct map_entry *e = &m->slots[i];
        if (slot_is_empty(e)) return NULL;
        if (e->key.ptr && e->hash == hash && bytes_equal(e->key, key)) return e;
    }
}

/* A new table of the right size for the live entries and one more; leaves half of it free at least. */
static void rebuild(struct map *m)
{
    size_t capacity = MIN_CAPACITY;
    while (capacity < (m->count + 1) * 2) capacity *= 2;
    struct map_entry *slots = mem_calloc(capacity, sizeof(*slots));
    for (struct map_entry *e = map_next(m, NULL); e; e = map_next(m, e)) {
        size_t i = e->hash & (capacity - 1);
        while (slots[i].key.ptr) i = (i + 1) & (capacity - 1);
        slots[i] = *e;
    }
    mem_free(m->slots);
    m->slots = slots;
    m->capacity = capacity;
    m->used = m->count;
}

void *map_get(const struct map *m, struct bytes key)
{
    if (m->count == 0) return NULL;
    struct map_entry *e = find(m, key, hash_bytes(key));
    return e ? e->value : NULL;
}

void **map_slot(struct map *m, struct bytes key)
{
    uint64_t hash = hash_bytes(key);
    struct map_entry *e = find(m, key, hash);
    if (e) return &e->value;
    if ((m->used + 1) * 4 > m->capacity * 3) rebuild(m);
    size_t i = hash & (m->capacity - 1);
    while (m->slots[i].key.ptr) i = (i + 1) & (m->capacity - 1);
    e = &m->slots[i];
    if (slot_is_empty(e)) m->used++;
    *e = (struct map_entry){bytes_make(bytes_to_text(key), key.len), NULL, hash};
    m->count++;
    m->key_bytes += key.len + 1;
    return &e->value;
}

void *map_remove(struct map *m, struct bytes key)
{
    struct map_entry *e = find(m, key, hash_bytes(key));
    if (!e) return NULL;
    void *value = e->value;
    m->key_bytes -= e->key.len + 1;
    mem_free((void *)(uintptr_t)e->key.ptr);
    *e = (struct map_entry){.hash = REMOVED_MARK};
    m->count--;
    if (m->capacity > MIN_CAPACITY * SPARSE_BELOW && m->count * SPARSE_BELOW < m->capacity) rebuild(m);
    return value;
}

struct map_entry *map_next(const struct map *m, struct map_entry *previous)
{
    for (size_t i = previous ? (size_t)(previous - m->slots) + 1 : 0; i < m->capacity; i++) {
        if (m->slots[i].key.ptr) return &m->slots[i];
    }
    return NULL;
}
