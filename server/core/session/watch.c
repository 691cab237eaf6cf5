/* WATCH, in the server process.
 *
 * A watched key is known by database number and name together: a session watching it sits in the key's list, and the
 * key in the session's map. Touching a key marks the sessions in its list; nothing is unlinked on that path. */
#include "server/core/session/watch.h"

#include "server/base/alloc.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/core/session/key_name.h"
#include "server/core/session/key_watchers.h"

struct watches {
    struct key_watcher watcher; /* listens while somebody watches a key */
    struct key_watchers *watchers;
    struct keyspace *keyspace;
    struct map keys; /* by key_name_make(): struct watched_list */
    size_t sessions;
};

struct watched_list {
    struct list sessions; /* struct watched_key.node */
};

struct watched_key {
    struct list_node node; /* in list->sessions */
    struct session *session;
    struct watched_list *list;
    bool was_expired; /* already logically gone when WATCH saw it: its removal is no change */
};

static bool logically_expired(struct database *db, struct bytes key, int64_t now_ms)
{
    const struct record *r = database_peek(db, key, key_hash(key));
    return r && record_is_expired(r, now_ms);
}

static struct watched_list *join_list(struct watches *w, struct bytes name, struct watched_key *k)
{
    struct watched_list **slot = (struct watched_list **)map_slot(&w->keys, name);
    if (!*slot) {
        *slot = mem_alloc(sizeof **slot);
        list_init(&(*slot)->sessions);
    }
    list_push_back(&(*slot)->sessions, &k->node);
    key_watcher_listen(w->watchers, &w->watcher, true);
    return *slot;
}

void watch_key(struct watches *w, struct session *s, struct database *db, struct bytes key, int64_t now_ms)
{
    uint8_t room[KEY_NAME_ROOM_BYTES];
    struct bytes name = key_name_make(database_index(db), key, room);
    if (!s->watched.count) w->sessions++;
    struct watched_key **slot = (struct watched_key **)map_slot(&s->watched, name);
    if (!*slot) {
        struct watched_key *k = *slot = mem_alloc(sizeof *k);
        *k = (struct watched_key){.session = s, .was_expired = logically_expired(db, key, now_ms)};
        k->list = join_list(w, name, k);
    }
    key_name_free(name, room);
}

void watch_forget_all(struct watches *w, struct session *s)
{
    if (!s->watched.count) return;
    for (struct map_entry *e = map_next(&s->watched, NULL); e; e = map_next(&s->watched, e)) {
        struct watched_key *k = e->value;
        list_remove(&k->list->sessions, &k->node);
        if (!k->list->sessions.count) mem_free(map_remove(&w->keys, e->key));
        mem_free(k);
    }
    map_clear(&s->watched);
    key_watcher_listen(w->watchers, &w->watcher, w->keys.count > 0);
    w->sessions--;
    s->watch_broken = false;
}

static struct watched_list *find_list(struct watches *w, int db, struct bytes key)
{
    uint8_t room[KEY_NAME_ROOM_BYTES];
    struct bytes name = key_name_make(db, key, room);
    struct watched_list *list = map_get(&w->keys, name);
    key_name_free(name, room);
    return list;
}

/* Who saw the key only after it had run out misses nothing. */
static void key_gone(struct watched_key *k)
{
    if (k->was_expired)
        k->was_expired = false; /* what comes after counts */
    else
        k->session->watch_broken = true;
}

static void key_touched(void *context, const struct key_change *change)
{
    struct watched_list *list = find_list(context, change->db, change->key);
    if (!list) return;
    list_each(&list->sessions, node)
    {
        struct watched_key *k = list_entry(node, struct watched_key, node);
        if (change->expires)
            key_gone(k);
        else
            k->session->watch_broken = true;
    }
}

static void database_changing_under(struct watches *w, struct bytes name, struct watched_list *list,
                                    const struct database_change *change)
{
    struct bytes key = key_name_key(name);
    uint64_t hash = key_hash(key);
    bool comes = change->replaced_by && database_peek(change->replaced_by, key, hash);
    bool goes = database_peek(keyspace_database(w->keyspace, key_name_db(name)), key, hash);
    if (!comes && !goes) return;
    bool comes_stale = comes && logically_expired(change->replaced_by, key, change->now_ms);
    list_each(&list->sessions, node)
    {
        struct watched_key *k = list_entry(node, struct watched_key, node);
        if (!comes)
            key_gone(k);
        else if (comes_stale && (k->was_expired || !goes))
            k->was_expired = true; /* for who watches, there was nothing, and there is nothing */
        else
            k->session->watch_broken = true;
    }
}

/* Keys that exist, or exist in the database that comes instead. */
static void database_changing(void *context, const struct database_change *change)
{
    struct watches *w = context;
    for (struct map_entry *e = map_next(&w->keys, NULL); e; e = map_next(&w->keys, e))
        if (change->db < 0 || key_name_db(e->key) == change->db) database_changing_under(w, e->key, e->value, change);
}

struct watches *watches_new(struct keyspace *keyspace, struct key_watchers *watchers)
{
    struct watches *w = mem_calloc(1, sizeof *w);
    w->keyspace = keyspace;
    w->watchers = watchers;
    w->watcher.context = w;
    w->watcher.touched = key_touched;
    w->watcher.database_changing = database_changing;
    return w;
}

bool watch_has_expired(struct watches *w, struct session *s, int64_t now_ms)
{
    (void)w;
    for (struct map_entry *e = map_next(&s->watched, NULL); e; e = map_next(&s->watched, e)) {
        const struct watched_key *k = e->value;
        struct database *db = keyspace_database(database_keyspace(s->db), key_name_db(e->key));
        if (!k->was_expired && logically_expired(db, key_name_key(e->key), now_ms)) return true;
    }
    return false;
}

size_t watches_sessions(const struct watches *w)
{
    return w->sessions;
}

size_t watch_memory(const struct session *s)
{
    return map_memory(&s->watched) + s->watched.count * sizeof(struct watched_key);
}
