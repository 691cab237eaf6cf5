/* See own_keys.h. Server process. */
#include "server/core/own_keys.h"

#include "server/base/alloc.h"
#include "server/base/map.h"
#include "server/core/core.h"
#include "server/keyspace/keyspace.h"
#include "repl/replication.h"

#define SLOTS_EACH_TICK 1000
#define NAME_DB_BYTES   4

struct own_keys {
    struct map keys; /* "db number, 4 bytes" + key; without values */
    size_t position; /* in the map's slots, where the next look begins */
};

struct own_keys *own_keys_new(void)
{
    return mem_calloc(1, sizeof(struct own_keys));
}

void own_keys_note(struct own_keys *o, int db, struct bytes key)
{
    int32_t number = db;
    uint8_t room[256], *name = key.len + NAME_DB_BYTES > sizeof room ? mem_alloc(key.len + NAME_DB_BYTES) : room;
    memcpy(name, &number, NAME_DB_BYTES);
    memcpy(name + NAME_DB_BYTES, key.ptr, key.len);
    map_slot(&o->keys, bytes_make(name, key.len + NAME_DB_BYTES));
    if (name != room) mem_free(name);
}

void own_keys_forget_all(struct own_keys *o)
{
    map_clear(&o->keys);
    o->position = 0;
}

/* false: it still has its time. */
static bool settle(struct core *core, struct bytes name, int64_t now_ms)
{
    int32_t number;
    memcpy(&number, name.ptr, NAME_DB_BYTES);
    struct bytes key = bytes_make(name.ptr + NAME_DB_BYTES, name.len - NAME_DB_BYTES);
    return database_expire_key(keyspace_database(core->keyspace, number), key, key_hash(key), now_ms);
}

void own_keys_expire(struct core *core, int64_t now_ms)
{
    struct own_keys *o = core->own_keys;
    if (!o->keys.count) return;
    if (!replication_is_replica(core->replication)) {
        own_keys_forget_all(o);
        return;
    }
    for (int slots = 0; slots < SLOTS_EACH_TICK && o->position < o->keys.capacity; slots++, o->position++) {
        struct bytes name = o->keys.slots[o->position].key;
        if (name.ptr && settle(core, name, now_ms)) map_remove(&o->keys, name);
    }
    if (o->position >= o->keys.capacity) o->position = 0;
}
