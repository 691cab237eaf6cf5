/* See key_table.h. Server process; a worker frees what key_table_clear() takes away.
 *
 * Most keys have one reader, so a key's value is that reader's id, marked by the lowest bit; or a list on the heap. */
#include "server/core/tracking/key_table.h"

#include "server/base/alloc.h"
#include "server/base/hash.h"
#include "server/base/list.h"
#include "server/base/workers.h"

#define FIRST_CAPACITY 4

struct reader_list {
    uint32_t count, capacity;
    uint64_t ids[]; /* ascending */
};

static bool is_single(const void *value)
{
    return (uintptr_t)value & 1;
}

static void *single(uint64_t id)
{
    return (void *)(uintptr_t)(id << 1 | 1);
}

static uint64_t single_id(const void *value)
{
    return (uint64_t)(uintptr_t)value >> 1;
}

static struct map *shard_of(const struct key_table *t, struct bytes key)
{
    return &t->shards[hash_bytes(key) >> 56]; /* a map goes by the lowest bits */
}

void key_table_init(struct key_table *t)
{
    uint64_t seed;
    random_from_kernel(&seed, sizeof seed);
    *t = (struct key_table){0};
    random_seed(&t->random, seed);
}

/* --- one key's list --- */

static uint32_t place_of(const struct reader_list *l, uint64_t id)
{
    uint32_t low = 0, high = l->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (l->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct reader_list *list_grown(struct reader_list *l, uint32_t capacity)
{
    l = mem_realloc(l, sizeof *l + capacity * sizeof l->ids[0]);
    l->capacity = capacity;
    return l;
}

/* Returns how many went. */
static size_t drop_dead(struct reader_list *l, const struct key_table_filter *filter)
{
    uint32_t kept = 0, before = l->count;
    for (uint32_t i = 0; i < before; i++)
        if (filter->is_alive(filter->context, l->ids[i])) l->ids[kept++] = l->ids[i];
    l->count = kept;
    return before - kept;
}

static struct reader_list *list_of_one(uint64_t id)
{
    struct reader_list *l = mem_alloc(sizeof *l + FIRST_CAPACITY * sizeof l->ids[0]);
    l->count = 1;
    l->capacity = FIRST_CAPACITY;
    l->ids[0] = id;
    return l;
}

static struct reader_list *list_add(struct key_table *t, struct reader_list *l, uint64_t id,
                                    const struct key_table_filter *filter)
{
    uint32_t at = place_of(l, id);
    if (at < l->count && l->ids[at] == id) return l;
    if (l->count == l->capacity) {
        t->items -= drop_dead(l, filter);
        if (l->count * 2 > l->capacity) l = list_grown(l, l->capacity * 2);
        at = place_of(l, id);
    }
    memmove(&l->ids[at + 1], &l->ids[at], (l->count - at) * sizeof l->ids[0]);
    l->ids[at] = id;
    l->count++;
    t->items++;
    return l;
}

/* --- the table --- */

void key_table_add(struct key_table *t, struct bytes key, uint64_t id, const struct key_table_filter *filter)
{
    if (!t->shards) t->shards = mem_calloc(KEY_TABLE_SHARDS, sizeof t->shards[0]);
    void **value = map_slot(shard_of(t, key), key);
    if (!*value) {
        *value = single(id);
        t->keys++;
        t->items++;
        return;
    }
    if (is_single(*value)) {
        if (single_id(*value) == id) return;
        *value = list_of_one(single_id(*value));
    }
    *value = list_add(t, *value, id, filter);
}

static void readers_of(struct key_table *t, void *value, struct key_readers *out)
{
    if (is_single(value)) {
        *out = (struct key_readers){.count = 1, .only = single_id(value)};
        out->ids = &out->only;
    } else {
        struct reader_list *l = value;
        *out = (struct key_readers){.ids = l->ids, .count = l->count, .owned = l};
    }
    t->keys--;
    t->items -= out->count;
}

bool key_table_take(struct key_table *t, struct bytes key, struct key_readers *out)
{
    void *value = t->keys ? map_remove(shard_of(t, key), key) : NULL;
    if (!value) return false;
    readers_of(t, value, out);
    return true;
}

static struct map_entry *random_entry(struct key_table *t)
{
    const struct map *m;
    do m = &t->shards[random_below(&t->random, KEY_TABLE_SHARDS)];
    while (!m->count);
    size_t start = random_below(&t->random, m->capacity);
    struct map_entry *e = m->slots[start].key.ptr ? &m->slots[start] : map_next(m, &m->slots[start]);
    return e ? e : map_next(m, NULL);
}

bool key_table_take_random(struct key_table *t, void (*visit)(void *arg, struct bytes key, const struct key_readers *),
                           void *arg)
{
    struct key_readers readers;
    if (!t->keys) return false;
    struct map_entry *e = random_entry(t);
    struct bytes key = e->key;
    readers_of(t, e->value, &readers);
    visit(arg, key, &readers);
    key_readers_free(&readers);
    map_remove(shard_of(t, key), key);
    return true;
}

void key_readers_free(struct key_readers *r)
{
    mem_free(r->owned);
}

/* --- all of it --- */

struct clearing {
    struct worker_job job;
    struct map *shards;
};

static void free_shards(struct map *shards)
{
    for (size_t i = 0; i < KEY_TABLE_SHARDS; i++) {
        for (struct map_entry *e = map_next(&shards[i], NULL); e; e = map_next(&shards[i], e))
            if (!is_single(e->value)) mem_free(e->value);
        map_clear(&shards[i]);
    }
    mem_free(shards);
}

static void clear_aside(struct worker_job *job)
{
    struct clearing *c = list_entry(job, struct clearing, job);
    free_shards(c->shards);
    mem_free(c);
}

void key_table_clear(struct key_table *t)
{
    struct map *shards = t->shards;
    t->shards = NULL;
    t->keys = t->items = 0;
    if (!shards) return;
    if (!workers_are_there()) {
        free_shards(shards);
        return;
    }
    struct clearing *c = mem_calloc(1, sizeof *c);
    c->job.run = clear_aside;
    c->shards = shards;
    workers_submit(WORKER_FREE, &c->job);
}
