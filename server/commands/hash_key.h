/* The hash at a key, as commands open it, change it and keep it. Server process.
 *
 * Plain hashes and those whose fields expire part here: one comparison says at once that a record is a hash and that
 * nothing of it can be dead. Of others the dead fields go before the command goes on; what may not go yet, on a replica
 * or while writes are paused, looks absent. */
#ifndef SLIPSTREAM_COMMANDS_HASH_KEY_H
#define SLIPSTREAM_COMMANDS_HASH_KEY_H

#include "server/base/check.h"
#include "server/core/run/call.h"
#include "server/data/hash.h"
#include "server/keyspace/record_layout.h"

/* The type, and the bit that only the encodings of timed hashes have among a hash's. */
#define PLAIN_HASH_MASK (15 | ENCODING_STREAM << 4)

/* Our master and files have judged already what is dead: nothing is hidden from them. */
static inline struct hash hash_at(const struct call *call, const struct record *r)
{
    bool inside = record_value_len(r) > 0;
    void *field = record_value_field(r), *object = field;
    if (!inside) memcpy(&object, field, sizeof(void *));
    return (struct hash){(enum value_encoding)(r->kind >> 4), object, inside, call->from_master ? 0 : call->now_ms};
}

/* For a record that is not a plain hash. False: it is none at all, which is answered. */
bool hash_look_closer(struct call *call, struct record **r);

/* Of the record at argv[1], NULL for none: false, when it is no hash; that is answered. It may be gone afterwards. */
static inline bool hash_expected(struct call *call, struct record **r)
{
    return !*r || likely(((*r)->kind & PLAIN_HASH_MASK) == TYPE_HASH) || hash_look_closer(call, r);
}

/* For reading; the record is NULL where there is no key. False: answered. */
static inline bool find_hash(struct call *call, struct record **r, struct hash *h)
{
    *r = call_find_read(call, 1);
    if (unlikely(!hash_expected(call, r))) return false;
    if (*r) *h = hash_at(call, *r);
    return true;
}

/* For writing. The record may lag behind the hash between opening and keeping it: nothing else runs in between. */
struct open_hash {
    struct record *record; /* NULL: there was none */
    struct hash hash;
    int64_t was_ms; /* its next expiry */
};

static inline int64_t next_expiry_of(const struct hash *h)
{
    return unlikely(hash_is_timed(h)) ? hash_next_expiry(h) : HASH_NO_EXPIRY;
}

static inline void open_hash(const struct call *call, struct open_hash *o, struct record *r)
{
    o->record = r;
    o->hash = r ? hash_at(call, r) : hash_new();
    o->was_ms = next_expiry_of(&o->hash);
}

/* Of the fields at argv[first], and every step-th behind it, the dead ones go: before they are set with regard to what
 * they were, or are named by an HDEL that takes them from whoever follows. */
void hash_bury_named(struct call *call, struct record **r, uint32_t first, uint32_t step);

void keep_hash(struct call *call, struct open_hash *o);
void hash_written(struct call *call, const char *event, uint64_t changes);

#endif
