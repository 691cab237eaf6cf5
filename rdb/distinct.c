/* An open-addressing set of hashes. Server process and redis-check-rdb, while a packed value is being read. */
#include "rdb/distinct.h"

#include "server/base/alloc.h"

void distinct_init(struct distinct *d)
{
    *d = (struct distinct){.capacity = DISTINCT_INLINE_SLOTS};
}

void distinct_free(struct distinct *d)
{
    mem_free(d->more);
}

static uint64_t hash_of(const struct packed_value *v)
{
    uint64_t hash =
        v->ptr ? hash_bytes(bytes_make(v->ptr, v->len)) : ~hash_bytes(bytes_make(&v->integer, sizeof v->integer));
    return hash ? hash : 1;
}

static bool put(uint64_t *slots, size_t capacity, uint64_t hash)
{
    size_t i = hash & (capacity - 1);
    for (; slots[i]; i = (i + 1) & (capacity - 1))
        if (slots[i] == hash) return false;
    slots[i] = hash;
    return true;
}

static void grow(struct distinct *d)
{
    size_t capacity = d->capacity * 4;
    uint64_t *old = d->more ? d->more : d->slots, *slots = mem_calloc(capacity, sizeof *slots);
    for (size_t i = 0; i < d->capacity; i++)
        if (old[i]) put(slots, capacity, old[i]);
    mem_free(d->more);
    d->more = slots;
    d->capacity = capacity;
}

bool distinct_add(struct distinct *d, struct packed_value element)
{
    if (d->count >= d->capacity / 2) grow(d);
    if (!put(d->more ? d->more : d->slots, d->capacity, hash_of(&element))) return false;
    d->count++;
    return true;
}
