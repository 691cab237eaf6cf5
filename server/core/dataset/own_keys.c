/* See own_keys.h. Server process. */
#include "server/core/dataset/own_keys.h"

#include "server/base/alloc.h"
#include "server/base/map.h"
#include "server/core/core.h"
#include "server/core/session/key_name.h"
#include "server/core/session/key_watchers.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"
#include "server/keyspace/keyspace.h"
#include "repl/replication.h"

#define SLOTS_EACH_TICK 1000

struct own_keys {
    struct key_watcher watcher; /* listens while replicas may be written to */
    struct map keys;            /* by key_name_make(); without values */
    size_t position;            /* in the map's slots, where the next look begins */
};

static void key_touched(void *context, const struct key_change *change)
{
    struct core *core = context;
    if (!change->by || change->by->kind == SESSION_MASTER || !replication_is_replica(core->replication)) return;
    uint8_t room[KEY_NAME_ROOM_BYTES];
    struct bytes name = key_name_make(change->db, change->key, room);
    map_slot(&core->own_keys->keys, name);
    key_name_free(name, room);
    replication_changed_unsaid(core->replication);
}

struct own_keys *own_keys_new(struct core *core)
{
    struct own_keys *o = mem_calloc(1, sizeof *o);
    o->watcher.context = core;
    o->watcher.touched = key_touched;
    return o;
}

void own_keys_listen(struct core *core)
{
    key_watcher_listen(core->key_watchers, &core->own_keys->watcher, !core->settings->repl.read_only);
}

size_t own_keys_count(const struct own_keys *o)
{
    return o->keys.count;
}

void own_keys_forget_all(struct own_keys *o)
{
    map_clear(&o->keys);
    o->position = 0;
}

/* false: it still has its time. */
static bool settle(struct core *core, struct bytes name, int64_t now_ms)
{
    struct bytes key = key_name_key(name);
    return database_expire_key(keyspace_database(core->keyspace, key_name_db(name)), key, key_hash(key), now_ms);
}

void own_keys_expire(struct core *core, int64_t now_ms)
{
    struct own_keys *o = core->own_keys;
    if (!o->keys.count || !keyspace_active_expiry(core->keyspace)) return;
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
