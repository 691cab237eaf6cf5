/* MULTI and EXEC, WATCH, in the server process.
 *
 * A watched key is known by database number and name together: a session watching it sits in the key's list, and the
 * key in the session's map. Touching a key marks the sessions in its list; nothing is unlinked on that path. */
#include "server/core/transaction.h"

#include "server/base/alloc.h"
#include "server/base/list.h"
#include "server/base/map.h"
#include "server/core/command_table.h"
#include "server/core/core.h"
#include "server/core/dispatch.h"
#include "server/core/key_name.h"
#include "server/core/propagate.h"

struct queued {
    struct command_entry *command;
    uint32_t argc;
    struct bytes *argv; /* one block: the slices, then their bytes */
};

struct transaction {
    struct queued *queue;
    size_t length, capacity;
    uint32_t flags, common_flags; /* of any, and of all in the queue */
    bool spoiled;
};

struct watches {
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

/* --- WATCH --- */

struct watches *watches_new(void)
{
    return mem_calloc(1, sizeof(struct watches));
}

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
    w->sessions--;
    s->watch_broken = false;
}

static struct watched_list *find_list(struct watches *w, int db, struct bytes key)
{
    if (__builtin_expect(!w->keys.count, 1)) return NULL;
    uint8_t room[KEY_NAME_ROOM_BYTES];
    struct bytes name = key_name_make(db, key, room);
    struct watched_list *list = map_get(&w->keys, name);
    key_name_free(name, room);
    return list;
}

void watch_key_touched(struct watches *w, int db, struct bytes key)
{
    struct watched_list *list = find_list(w, db, key);
    if (!list) return;
    list_each(&list->sessions, node) list_entry(node, struct watched_key, node)->session->watch_broken = true;
}

/* Who saw the key only after it had run out misses nothing. */
static void key_gone(struct watched_key *k)
{
    if (k->was_expired)
        k->was_expired = false; /* what comes after counts */
    else
        k->session->watch_broken = true;
}

void watch_key_expired(struct watches *w, int db, struct bytes key)
{
    struct watched_list *list = find_list(w, db, key);
    if (!list) return;
    list_each(&list->sessions, node) key_gone(list_entry(node, struct watched_key, node));
}

void watch_database_touched(struct watches *w, struct keyspace *ks, int db, struct database *replaced_by,
                            int64_t now_ms)
{
    for (struct map_entry *e = map_next(&w->keys, NULL); e; e = map_next(&w->keys, e)) {
        int index = key_name_db(e->key);
        if (db >= 0 && index != db) continue;
        struct bytes key = key_name_key(e->key);
        uint64_t hash = key_hash(key);
        bool comes = replaced_by && database_peek(replaced_by, key, hash);
        bool goes = database_peek(keyspace_database(ks, index), key, hash);
        if (!comes && !goes) continue;
        bool comes_stale = comes && logically_expired(replaced_by, key, now_ms);
        struct watched_list *list = e->value;
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

/* --- MULTI --- */

void transaction_begin(struct session *s)
{
    s->transaction = mem_calloc(1, sizeof *s->transaction);
    s->transaction->common_flags = UINT32_MAX;
}

void transaction_queue(struct session *s, struct command_entry *command, uint32_t argc, const struct bytes *argv)
{
    struct transaction *t = s->transaction;
    if (t->spoiled) return; /* EXEC will refuse: nothing to remember */
    size_t bytes = argc * sizeof(struct bytes);
    for (uint32_t i = 0; i < argc; i++) bytes += argv[i].len;
    if (t->length == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 8;
        t->queue = mem_realloc(t->queue, t->capacity * sizeof *t->queue);
    }
    struct queued *q = &t->queue[t->length++];
    *q = (struct queued){command, argc, mem_alloc(bytes)};
    uint8_t *at = (uint8_t *)(q->argv + argc);
    for (uint32_t i = 0; i < argc; i++) {
        memcpy(at, argv[i].ptr, argv[i].len);
        q->argv[i] = bytes_make(at, argv[i].len);
        at += argv[i].len;
    }
    t->flags |= command->row->flags;
    t->common_flags &= command->row->flags;
}

void transaction_spoil(struct session *s)
{
    s->transaction->spoiled = true;
}

static void transaction_free(struct session *s)
{
    struct transaction *t = s->transaction;
    s->transaction = NULL;
    for (size_t i = 0; i < t->length; i++) mem_free(t->queue[i].argv);
    mem_free(t->queue);
    mem_free(t);
}

void transaction_discard(struct watches *w, struct session *s)
{
    transaction_free(s);
    watch_forget_all(w, s);
}

uint32_t transaction_flags(const struct session *s)
{
    const struct transaction *t = s->transaction;
    return (t->flags & ~(uint32_t)CMD_LEAVES) | (t->common_flags & CMD_LEAVES);
}

size_t transaction_length(const struct session *s)
{
    return s->transaction->length;
}

static void run_queue(struct call *call, struct transaction *t)
{
    struct session *s = call->session;
    s->transaction = NULL; /* what runs now is not queued */
    s->in_exec = true;
    reply_array(&s->reply, t->length);
    for (size_t i = 0; i < t->length && !s->stream_broken; i++) {
        const struct queued *q = &t->queue[i];
        struct dispatch_request r = {.argc = q->argc, .argv = q->argv, .command = q->command};
        dispatch_run(call->core, s, &r, call->now_ms);
    }
    s->in_exec = false;
    s->transaction = t;
}

void transaction_execute(struct call *call)
{
    struct session *s = call->session;
    struct watches *w = call->core->watches;
    if (s->transaction->spoiled) {
        reply_error(call->reply, "EXECABORT Transaction discarded because of previous errors.");
        transaction_discard(w, s);
        return;
    }
    if (s->watch_broken || watch_has_expired(w, s, call->now_ms)) {
        reply_null_array(call->reply);
        transaction_discard(w, s);
        return;
    }
    watch_forget_all(w, s); /* before the first write: its own keys must not trouble it */
    run_queue(call, s->transaction);
    transaction_free(s);
}
