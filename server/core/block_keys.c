/* Sessions that wait for keys. Server process.
 *
 * A waiter hangs in the queue of each of its keys through a link; key queues live in a map as long as somebody waits. A
 * touched key is only put on the ready list: whether it is worth anything is found out when it is served, since a
 * transaction may have made and unmade it meanwhile. */
#include "server/core/block_keys.h"

#include <math.h>

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/core/blocking.h"
#include "server/core/clients.h"
#include "server/core/core.h"
#include "server/core/dispatch.h"
#include "server/core/key_name.h"
#include "server/core/persistence.h"
#include "server/net/loop.h"

/* Who waits for one type is not looked at when the key holds another. Those of the last queue wait for streams, too,
 * and run again whatever became of the key. */
enum queue { QUEUE_LISTS, QUEUE_ZSETS, QUEUE_STREAMS, QUEUE_WAKING_WHEN_GONE, QUEUES };
static const enum value_type queue_types[QUEUES] = {TYPE_LIST, TYPE_ZSET, TYPE_STREAM, TYPE_STREAM};

struct waited_key {
    struct list queues[QUEUES]; /* struct key_link.node, longest waiting first */
    struct list_node ready;
    bool pinned; /* being served: stays although nobody may wait any more */
    int db;
    size_t name_len;
    uint8_t name[]; /* as in the map: database number and key */
};

struct waiter;

struct key_link {
    struct list_node node;
    struct waited_key *key;
    struct waiter *waiter;
};

/* One block: the struct, its links, the slices of its request, their bytes. */
struct waiter {
    struct core *core;
    struct blocked *blocked;
    struct command_entry *command;
    enum queue queue;
    bool waits_on; /* said by block_on_keys() while the command runs again */
    uint32_t argc, link_count;
    struct bytes *argv;
    struct key_link links[];
};

struct block_keys *block_keys_new(void)
{
    struct block_keys *b = mem_calloc(1, sizeof *b);
    list_init(&b->ready);
    return b;
}

/* --- the queues --- */

static struct bytes waited_name(const struct waited_key *k)
{
    return bytes_make(k->name, k->name_len);
}

static struct bytes plain_key(const struct waited_key *k)
{
    return key_name_key(waited_name(k));
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
    }
    key_name_free(name, room);
    return *slot;
}

static void free_if_unused(struct block_keys *b, struct waited_key *k)
{
    if (k->pinned) return;
    for (int q = 0; q < QUEUES; q++)
        if (k->queues[q].count) return;
    if (list_contains(&k->ready)) list_remove(&b->ready, &k->ready);
    map_remove(&b->keys, waited_name(k));
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
        free_if_unused(b, link->key);
    }
}

static enum queue queue_of(const struct key_wait *wait)
{
    if (wait->wakes_when_gone) return QUEUE_WAKING_WHEN_GONE;
    for (enum queue q = 0; q < QUEUES; q++)
        if (queue_types[q] == wait->type) return q;
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
        ((struct waiter *)s->blocked->state)->waits_on = true;
        return;
    }
    if (s->in_exec || !s->client) {
        wait->reply_denied(call->reply);
        return;
    }
    struct waiter *w = waiter_new(call, wait);
    struct blocked *blocked = blocking_start(call->core->blocking, s, BLOCKED_KEYS, wait->timeout_ms);
    blocked->state = w;
    blocked->timed_out = timed_out;
    blocked->interrupted = interrupted;
    blocked->released = released;
    w->blocked = blocked;
    join_queues(call->core->block_keys, w, database_index(call->db), wait);
}

/* --- timeouts --- */

/* The deadline must be a time, too. */
static bool accept_timeout(struct call *call, int64_t timeout_ms)
{
    int64_t deadline_ms;
    const char *error = NULL;
    if (timeout_ms < 0)
        error = "ERR timeout is negative";
    else if (__builtin_add_overflow(timeout_ms, call->now_ms, &deadline_ms))
        error = "ERR timeout is out of range";
    if (error) reply_error(call->reply, error);
    return !error;
}

bool block_timeout_seconds(struct call *call, uint32_t arg, int64_t *timeout_ms)
{
    long double seconds; /* what is too large for a double is out of range, not "not a float" */
    if (parse_long_double(call->argv[arg], &seconds)) {
        reply_error(call->reply, "ERR timeout is not a float or out of range");
        return false;
    }
    long double ms = ceill(seconds * 1000);
    if (ms >= 0x1p63) {
        reply_error(call->reply, "ERR timeout is out of range");
        return false;
    }
    *timeout_ms = ms < 0 ? -1 : (int64_t)ms;
    return accept_timeout(call, *timeout_ms);
}

bool block_timeout_ms(struct call *call, uint32_t arg, int64_t *timeout_ms)
{
    if (!call_arg_i64(call, arg, timeout_ms, "ERR timeout is not an integer or out of range")) return false;
    return accept_timeout(call, *timeout_ms);
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

/* --- serving --- */

/* Looks without a trace: what has run out stays for whoever asks for it. */
static bool holds(struct core *core, const struct waited_key *k, enum value_type type)
{
    struct database *db = keyspace_database(core->keyspace, k->db);
    struct bytes key = plain_key(k);
    const struct record *r = database_peek(db, key, key_hash(key));
    return r && !record_is_expired(r, loop_wall_ms(core->loop)) && record_type(r) == type;
}

/* What a client that is about to be closed took would be lost. */
static bool may_run(const struct waiter *w)
{
    const struct client *client = w->blocked->session->client;
    return !client->close_asap && !client->close_after_reply;
}

static void run_again(struct core *core, struct waiter *w)
{
    struct blocked *blocked = w->blocked;
    struct dispatch_request request = {.argc = w->argc, .argv = w->argv, .command = w->command};
    w->waits_on = false;
    dispatch_run(core, blocked->session, &request, loop_wall_ms(core->loop));
    if (!w->waits_on) blocking_finish(core->blocking, blocked);
}

/* The first to find nothing left ends it: of the others nobody is asked. */
static void serve_queue(struct core *core, struct waited_key *k, enum queue q)
{
    list_each(&k->queues[q], node)
    {
        struct waiter *w = list_entry(node, struct key_link, node)->waiter;
        if (q != QUEUE_WAKING_WHEN_GONE && !holds(core, k, queue_types[q])) return;
        if (may_run(w)) run_again(core, w);
    }
}

static void serve_key(struct core *core, struct waited_key *k)
{
    k->pinned = true;
    for (enum queue q = 0; q < QUEUES; q++)
        if (k->queues[q].count) serve_queue(core, k, q);
    k->pinned = false;
    free_if_unused(core->block_keys, k);
}

/* What serving touches joins the end of the list: one served client may feed the next. Of a dataset that is half loaded
 * nobody is served: what is ready waits for the rest. */
void block_keys_serve(struct core *core)
{
    const struct persistence_state *state = persistence_state(core);
    struct block_keys *b = core->block_keys;
    struct list_node *node;
    if (state->loading && !state->async_loading) return;
    b->serving = true;
    while ((node = list_first(&b->ready))) {
        list_remove(&b->ready, node);
        serve_key(core, list_entry(node, struct waited_key, ready));
    }
    b->serving = false;
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
