/* Inside of the keyspace: what a database and the keyspace hold, and what their files share. */
#ifndef SLIPSTREAM_KEYSPACE_DATABASE_H
#define SLIPSTREAM_KEYSPACE_DATABASE_H

#include "server/keyspace/evict.h"
#include "server/keyspace/keyspace.h"
#include "server/keyspace/table.h"

struct database {
    struct table table;
    struct keyspace *keyspace;
    int index;
    int64_t average_ttl_ms;
    uint64_t expire_position; /* where the active expiry cycle goes on, in the table's hash order */
};

struct keyspace {
    struct database *databases;
    int count;
    struct libraries libraries;
    const struct keyspace_settings *settings;
    struct keyspace_hooks hooks;
    struct keyspace_stats stats;
    struct random_state random;
    bool replica, held, replaying;
    bool snapshot_running;
    bool active_expiry;
    bool times_removals;
    uint32_t clock_s;   /* LRU: 24 bits of seconds */
    uint32_t clock_min; /* LFU: 16 bits of minutes */
    bool counts;        /* LFU is the policy, and has been since counts_since_min */
    uint32_t counts_since_min;
    int expire_database; /* where the next active expiry cycle begins */
    struct eviction evict;
};

/* What has expired is not removed, but looks as if it were. */
static inline bool keyspace_only_hides(const struct keyspace *ks)
{
    return ks->replica || ks->held || ks->replaying;
}

/* --- access.c --- */
bool access_is_lfu(const struct keyspace *ks);
uint32_t access_clock_new(const struct keyspace *ks); /* of a key that appears */
uint32_t access_clock_after_write(const struct keyspace *ks, const struct record *r);
void access_touch(struct keyspace *ks, struct record *r);

/* --- database.c --- */
void database_remove(struct database *db, struct record *r, uint64_t hash, bool aside);

/* --- field_expiry.c --- */
/* A record that appears, or whose value is about to go: nothing is done unless it is a hash whose fields expire. */
void database_index_fields(struct database *db, const struct record *r, uint64_t hash);
void database_unindex_fields(struct database *db, const struct record *r, uint64_t hash);

/* --- expiry.c --- */
/* On a master: tells the hook and removes r, which has expired. */
void database_expire(struct database *db, struct record *r, uint64_t hash);
/* ... and for both reasons. aside: a worker frees the value when it is large. */
void database_remove_for(struct database *db, struct record *r, uint64_t hash, enum keyspace_removal why, bool aside);

#endif
