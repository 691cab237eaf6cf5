/* Which sessions have read which key: the table behind CLIENT TRACKING without BCAST. Pure: it knows ids and names, no
 * session and no time. Server process.
 *
 * Keys stand without their database: an invalidation names none. A session that goes leaves its ids where they are;
 * they go with their key, or when a key's list has to grow and `is_alive` says that nobody is behind them. */
#ifndef SLIPSTREAM_CORE_TRACKING_KEY_TABLE_H
#define SLIPSTREAM_CORE_TRACKING_KEY_TABLE_H

#include "server/base/map.h"
#include "server/base/random.h"

#define KEY_TABLE_SHARDS 256

struct key_table {
    struct map *shards; /* KEY_TABLE_SHARDS of them, by the hash; so no growth takes long. NULL: no keys yet */
    size_t keys, items; /* items: pairs of a key and an id */
    struct random_state random;
};

/* The readers of one key, taken out of the table: key_readers_free() gives them back. */
struct key_readers {
    const uint64_t *ids; /* ascending */
    size_t count;
    uint64_t only; /* its room where there is but one */
    void *owned;
};

struct key_table_filter {
    bool (*is_alive)(void *context, uint64_t id);
    void *context;
};

void key_table_init(struct key_table *t);
/* id: below 2^63. */
void key_table_add(struct key_table *t, struct bytes key, uint64_t id, const struct key_table_filter *filter);
/* The key leaves the table. false: it was not there. */
bool key_table_take(struct key_table *t, struct bytes key, struct key_readers *out);
/* Some key at random leaves the table, and is handed to `visit`. false: there is none. */
bool key_table_take_random(struct key_table *t, void (*visit)(void *arg, struct bytes key, const struct key_readers *),
                           void *arg);
void key_readers_free(struct key_readers *r);
/* Everything leaves it at once; a worker frees what was there. */
void key_table_clear(struct key_table *t);

#endif
