/* Who wants to hear of changed keys. Server process.
 *
 * A watcher is a part of the server, not a client: WATCH, the waits for keys, a writable replica that notes its own
 * keys. It is in the list only while it has something to hear for, so a command that changes a key pays one test when
 * nobody has. Events by name (notify.h) are another thing: a command may tell several of one key, or none. */
#ifndef SLIPSTREAM_CORE_SESSION_KEY_WATCHERS_H
#define SLIPSTREAM_CORE_SESSION_KEY_WATCHERS_H

#include "server/base/bytes.h"
#include "server/base/list.h"

struct database;
struct session;

struct key_change {
    int db;
    struct bytes key;
    const struct session *by; /* NULL: the key goes by itself */
    bool expires;             /* by itself, because its time has come; else it is evicted */
};

struct database_change {
    int db;                       /* -1: every one */
    struct database *replaced_by; /* what stands there afterwards; NULL: nothing */
    int64_t now_ms;
};

/* Embedded in its part, and filled in by it. */
struct key_watcher {
    struct list_node node;
    void *context;
    void (*touched)(void *context, const struct key_change *change);
    void (*database_changing)(void *context, const struct database_change *change); /* NULL: does not matter */
};

/* One per server, in struct core. The field is for the inline check below alone. */
struct key_watchers {
    struct list listening; /* struct key_watcher.node */
};

struct key_watchers *key_watchers_new(void);
void key_watcher_listen(struct key_watchers *w, struct key_watcher *watcher, bool wanted); /* from now on, or no more */

static inline bool key_watchers_any(const struct key_watchers *w)
{
    return w->listening.count > 0;
}

/* A key is another one, or about to go by itself. Slow path: ask key_watchers_any() first. */
void key_watchers_tell(const struct key_watchers *w, const struct key_change *change);
/* FLUSHDB, SWAPDB, a full sync: told before it happens. */
void key_watchers_tell_database(const struct key_watchers *w, const struct database_change *change);

#endif
