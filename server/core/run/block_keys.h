/* Commands that wait for keys: BLPOP and its kind, BZPOPMIN and its kind, XREAD and XREADGROUP with BLOCK.
 *
 * Such a command first tries to do its work. Where there is nothing to do yet, it ends with block_on_keys(). Once one
 * of the keys may hold something, the very same command runs again, as if it had only now been sent; it does its work,
 * or ends with block_on_keys() again and keeps its place. So a waiting command has no second code path, and a type that
 * wants to wait writes nothing but its handler.
 *
 * Who is woken: a key counts as touched whenever call_key_modified() is told of it, whatever command it was, and when
 * it expires or is evicted, and all keys of a database that changes as a whole. When the running
 * command (all of a transaction, all of a script) has ended and left for the replicas, and before the next one, touched
 * keys are gone through in the order in which they were touched; on each key those who have waited longest are run
 * first, for as long as the key holds a value of the type they wait for. */
#ifndef SLIPSTREAM_CORE_RUN_BLOCK_KEYS_H
#define SLIPSTREAM_CORE_RUN_BLOCK_KEYS_H

#include "server/base/list.h"
#include "server/base/map.h"
#include "server/core/run/call.h"
#include "server/core/session/key_watchers.h"

/* One per server, in struct core. The fields are for the inline checks below alone. */
struct block_keys {
    struct key_watcher watcher; /* listens while somebody waits for a key */
    struct key_watchers *watchers;
    struct map keys;              /* database number and key -> those who wait for it */
    struct list ready;            /* keys touched since the last serving, first touched first */
    size_t keys_waking_when_gone; /* with a waiter that wakes when they go */
    bool serving;
};

struct block_keys *block_keys_new(struct key_watchers *watchers);

/* --- for commands --- */

struct key_wait {
    uint32_t key_count;
    const struct bytes *keys; /* of the session's database; may name a key twice */
    enum value_type type;     /* what a key must hold to be worth running again */
    bool wakes_when_gone;     /* run again also when a key is deleted or holds another type: XREADGROUP's NOGROUP */
    int64_t timeout_ms;       /* 0: wait for ever */
    void (*reply_denied)(struct reply *reply); /* the answer where waiting is not possible: mostly reply_null_array */
    /* What runs again, when that is not the call's own request: XREAD has turned its $ into an id. argc 0: it is. */
    uint32_t argc;
    const struct bytes *argv;
};

/* Ends a handler that found nothing: its session waits from here on; at the timeout it gets a null array. Where waiting
 * is not possible (EXEC, a script, the master's stream) the answer is reply_denied at once. Copies what it is given. */
void block_on_keys(struct call *call, const struct key_wait *wait);

/* --- who tells, beside the watchers of keys (key_watchers.h): what changes for those who wait alone --- */

void block_keys_touched(struct block_keys *b, int db, struct bytes key);
void block_keys_database_touched(struct block_keys *b, int db); /* -1: every database */

/* --- when to serve: after each command of the outermost level, and before the loop sleeps --- */

static inline bool block_keys_pending(const struct block_keys *b)
{
    return b->ready.count > 0 && !b->serving;
}

void block_keys_serve(struct core *core);

/* INFO clients: keys that somebody waits for, and those of them with a waiter that wakes when they go. */
size_t block_keys_count(const struct block_keys *b);
size_t block_keys_count_waking_when_gone(const struct block_keys *b);

#endif
