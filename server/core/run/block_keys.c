/* Sessions that wait for keys: who waits for what. Server process.
 *
 * A waiter hangs in the queue of each of its keys through a link; key queues live in a map as long as somebody waits. A
 * touched key is only put on the ready list: whether it is worth anything is found out when it is served, since a
 * transaction may have made and unmade it meanwhile. */
#include "server/core/run/block_keys_parts.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/core/core.h"
#include "server/core/session/blocking.h"
#include "server/core/session/key_name.h"
#include "server/core/session/session.h"

const enum value_type block_queue_types[QUEUES] = {TYPE_LIST, TYPE_ZSET, TYPE_STREAM, TYPE_STREAM};

/* --- the queues --- */

static struct bytes waited_name(const struct waited_key *k)
{
    return bytes_make(k->name, k->name_len);
}

static struct waited_key *waited_key_get(struct block_keys *b, int db, struct bytes key)
{
    uint8_t room[KEY_NAME_ROOM_BYTES];
    struct bytes name = key_name_make(db, key, room);
    struct waited_key **slot = (struct waited_key **)map_slot(&b->keys, name);
    if (!*slot) {
        struct waited_key *k = *slot = mem_calloc(1, sizeof *k + name.len);
        for (int q = 0; q < QUEUES; q++) list_init(&k->queues[q]);
        k->db = db;
        k->name_len = name.len;
        memcpy(k->name, name.ptr, name.len);
        key_watcher_listen(b->watchers, &b->watcher, true);
    }
    key_name_free(name, room);
    return *slot;
}

void waited_key_settle(struct block_keys *b, struct waited_key *k)
{
    if (k->pinned) return;
    for (int q = 0; q < QUEUES; q++)
        if (k->queues[q].count) return;
    if (list_contains(&k->ready)) list_remove(&b->ready, &k->ready);
    map_remove(&b->keys, waited_name(k));
    key_watcher_listen(b->watchers, &b->watcher, b->keys.count > 0);
    mem_free(k);
}

/* A waiter joins all its queues in one go: in that of a key named before, it is the last one. */
static bool has_just_joined(const struct list *queue, const struct waiter *w)
{
    return queue->count && list_entry(queue->head.prev, struct key_link, node)->waiter == w;
}

static void join_queues(struct block_keys *b, struct waiter *w, int db, const struct key_wait *wait)
{
    for (uint32_t i = 0; i < wait->key_count; i++) {
        struct waited_key *k = waited_key_get(b, db, wait->keys[i]);
        struct list *queue = &k->queues[w->queue];
        if (has_just_joined(queue, w)) continue;
        struct key_link *link = &w->links[w->link_count++];
        *link = (struct key_link){.key = k, .waiter = w};
        list_push_back(queue, &link->node);
        if (w->queue == QUEUE_WAKING_WHEN_GONE && queue->count == 1) b->keys_waking_when_gone++;
    }
}

static void leave_queues(struct block_keys *b, struct waiter *w)
{
    for (uint32_t i = 0; i < w->link_count; i++) {
        struct key_link *link = &w->links[i];
        struct list *queue = &link->key->queues[w->queue];
        list_remove(queue, &link->node);
        if (w->queue == QUEUE_WAKING_WHEN_GONE && queue->count == 0) b->keys_waking_when_gone--;
        waited_key_settle(b, link->key);
    }
}

static enum queue queue_of(const struct key_wait *wait)
{
    if (wait->wakes_when_gone) return QUEUE_WAKING_WHEN_GONE;
    for (enum queue q = 0; q < QUEUES; q++)
        if (block_queue_types[q] == wait->type) return q;
    UNREACHABLE();
}

/* --- waiting --- */

static void timed_out(struct blocked *blocked)
{
    reply_null_array(&blocked->session->reply);
}

static void interrupted(struct blocked *blocked, const char *error)
{
    if (error)
        reply_error(&blocked->session->reply, error);
    else
        timed_out(blocked);
}

static void released(struct blocked *blocked)
{
    struct waiter *w = blocked->state;
    leave_queues(w->core->block_keys, w);
    mem_free(w);
}

static struct waiter *waiter_new(struct call *call, const struct key_wait *wait)
{
    uint32_t argc = wait->argc ? wait->argc : call->argc;
    const struct bytes *argv = wait->argc ? wait->argv : call->argv;
    size_t text_bytes = 0, links_bytes = wait->key_count * sizeof(struct key_link);
    for (uint32_t i = 0; i < argc; i++) text_bytes += argv[i].len;
    struct waiter *w = mem_alloc(sizeof *w + links_bytes + argc * sizeof *argv + text_bytes);
    *w = (struct waiter){
        .core = call->core,
        .command = call->command,
        .queue = queue_of(wait),
        .argc = argc,
        .argv = (struct bytes *)((uint8_t *)w->links + links_bytes),
    };
    uint8_t *at = (uint8_t *)(w->argv + argc);
    for (uint32_t i = 0; i < argc; i++) {
        if (argv[i].len) memcpy(at, argv[i].ptr, argv[i].len);
        w->argv[i] = bytes_make(at, argv[i].len);
        at += argv[i].len;
    }
    return w;
}

void block_on_keys(struct call *call, const struct key_wait *wait)
{
    struct session *s = call->session;
    if (s->blocked) {
        call->waits = true;
        ((struct waiter *)s->blocked->state)->waits_on = true;
        return;
    }
    if (s->in_exec || !s->owner) {
        wait->reply_denied(call->reply);
        return;
    }
    call->waits = true;
    struct waiter *w = waiter_new(call, wait);
    struct blocked *blocked = blocking_start(call->core->blocking, s, BLOCKED_KEYS, wait->timeout_ms);
    blocked->state = w;
    blocked->timed_out = timed_out;
    blocked->interrupted = interrupted;
    blocked->released = released;
    w->blocked = blocked;
    join_queues(call->core->block_keys, w, database_index(call->db), wait);
}

/* --- touched --- */

static void make_ready(struct block_keys *b, struct waited_key *k)
{
    if (!list_contains(&k->ready)) list_push_back(&b->ready, &k->ready);
}

void block_keys_touched(struct block_keys *b, int db, struct bytes key)
{
    uint8_t room[KEY_NAME_ROOM_BYTES];
    struct bytes name = key_name_make(db, key, room);
    struct waited_key *k = map_get(&b->keys, name);
    if (k) make_ready(b, k);
    key_name_free(name, room);
}

void block_keys_database_touched(struct block_keys *b, int db)
{
    for (struct map_entry *e = map_next(&b->keys, NULL); e; e = map_next(&b->keys, e)) {
        struct waited_key *k = e->value;
        if (db < 0 || k->db == db) make_ready(b, k);
    }
}

/* Whoever touched it, and even when it goes: a wait may be for a key's end. */
static void key_touched(void *context, const struct key_change *change)
{
    block_keys_touched(context, change->db, change->key);
}

static void database_changing(void *context, const struct database_change *change)
{
    block_keys_database_touched(context, change->db);
}

struct block_keys *block_keys_new(struct key_watchers *watchers)
{
    struct block_keys *b = mem_calloc(1, sizeof *b);
    list_init(&b->ready);
    b->watchers = watchers;
    b->watcher.context = b;
    b->watcher.touched = key_touched;
    b->watcher.database_changing = database_changing;
    return b;
}

/* --- figures --- */

size_t block_keys_count(const struct block_keys *b)
{
    return b->keys.count;
}

size_t block_keys_count_waking_when_gone(const struct block_keys *b)
{
    return b->keys_waking_when_gone;
}
