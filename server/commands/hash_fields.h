/* FIELDS numfields field ..., as the commands on several fields of a hash take them, and what such a command leaves in
 * the stream. Server process. */
#ifndef SLIPSTREAM_COMMANDS_HASH_FIELDS_H
#define SLIPSTREAM_COMMANDS_HASH_FIELDS_H

#include "server/commands/expiry_option.h"
#include "server/commands/hash_key.h"

/* The latest expiry that a client may give a field: Redis 8's limit. A master's is taken as it is. */
#define FIELD_EXPIRY_MAX_MS ((1ll << 46) - 1)

struct field_args {
    uint32_t first, count; /* argv[first] ... */
};

/* The word FIELDS at argv[at], and the rest of the request behind it. bad_count: the error where the number is none.
 * False: answered. */
bool field_args_read(struct call *call, uint32_t at, const char *bad_count, struct field_args *out);

/* A time from an argument, absolute. False: answered. */
bool field_expiry_read(struct call *call, struct bytes value, enum expiry_unit unit, int64_t *at_ms);
/* It has passed, and the fields go at once; a master's and a file's stay until their HDEL. */
bool field_expiry_has_passed(const struct call *call, int64_t at_ms);

/* What was changed: fields (and values), gathered behind the place for the words before them. */
#define TOUCHED_HEAD 6
struct touched {
    struct bytes *argv;
    uint32_t count;
};

void touched_start(struct touched *t, const struct call *call);
void touched_add(struct touched *t, struct bytes argument);
void touched_propagate(struct touched *t, struct call *call, const struct bytes *head, uint32_t words);
void touched_end(struct touched *t);

/* At the beginning of a command of this family: from a master it is passed on as it is. */
static inline void fields_come(struct call *call)
{
    call_passes_on(call, WORDS_OF_FIELD_EXPIRY);
}

/* What was touched is deleted: HDEL, its event, and the key's end when nothing is left. Keeps the hash. */
void fields_deleted(struct call *call, struct open_hash *o, struct touched *t);
/* ... and has got this expiry: HPEXPIREAT. */
void fields_expire_at(struct call *call, struct open_hash *o, struct touched *t, int64_t at_ms);

#endif
