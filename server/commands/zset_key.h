/* A key whose sorted set is being changed, what a change tells the rest of the server, and how members are answered. */
#ifndef SLIPSTREAM_COMMANDS_ZSET_KEY_H
#define SLIPSTREAM_COMMANDS_ZSET_KEY_H

#include "server/core/run/call.h"
#include "server/data/zset.h"

struct zset_key {
    struct call *call;
    struct bytes key;
    uint64_t hash;
    struct record *record; /* NULL: no such key, or not stored yet */
    struct zset zset;      /* as it is now; meaningless without a record, until one is put here */
};

static inline struct zset zset_at(const struct record *r)
{
    return (struct zset){record_encoding(r), record_object(r), record_object_inside(r)};
}

/* The sorted set at argv[arg] for reading, NULL record for an absent one. False: another type, answered. */
bool zset_key_find(struct call *call, uint32_t arg, struct record **r, struct zset *z);
/* Opens the sorted set at argv[arg]; k->record NULL: there is none. False: another type, answered. */
bool zset_key_open(struct zset_key *k, struct call *call, uint32_t arg);
/* The record learns of the set's address, a new one is stored, WATCH is told. An emptied set is deleted, with its
 * event, behind `event`. */
void zset_key_save(struct zset_key *k, const char *event);
/* Replaces whatever argv[arg] holds by `result`, which is taken, with `event`; by nothing when result is NULL. */
void zset_key_replace(struct call *call, uint32_t arg, const struct zset *result, const char *event);

void zadd_command(struct call *call); /* GEOADD is a ZADD with other arguments */

/* The header of a list of so many entries, and an entry. RESP3 keeps member and score together, RESP2 has them in one
 * flat list. */
void reply_zset_entries(struct reply *r, size_t count, bool with_scores);
void reply_zset_entry(struct reply *r, const struct zset_entry *entry, bool with_scores);

#endif
