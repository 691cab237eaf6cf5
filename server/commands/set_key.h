/* A key whose set is being changed, and what a change tells the rest of the server. */
#ifndef SLIPSTREAM_COMMANDS_SET_KEY_H
#define SLIPSTREAM_COMMANDS_SET_KEY_H

#include "server/core/run/call.h"
#include "server/data/set.h"

struct set_key {
    struct call *call;
    struct bytes key;
    uint64_t hash;
    struct record *record; /* NULL: no such key, or not stored yet */
    struct set set;        /* as it is now; meaningless without a record, until one is put here */
};

static inline struct set set_at(const struct record *r)
{
    return (struct set){record_encoding(r), record_object(r), record_object_inside(r)};
}

/* Opens the set at argv[arg]; k->record NULL: there is none. False: another type, answered. */
bool set_key_open(struct set_key *k, struct call *call, uint32_t arg);
/* The record learns of the set's address, a new one is stored, WATCH is told. An emptied set is deleted, with its
 * event, behind `event`. */
void set_key_save(struct set_key *k, const char *event);
/* Replaces whatever the key holds by `result`, which is taken, with `event`. NULL or an empty set leaves no key. */
void set_key_replace(struct call *call, uint32_t arg, struct set *result, const char *event);

#endif
