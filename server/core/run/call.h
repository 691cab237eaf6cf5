/* One command being run: who calls (session), on which database, with which arguments, and where the answer goes.
 *
 * A command never knows who called it: a client, EXEC, a script, the master's stream or a file all fill in a `struct
 * call` and go through dispatch. Arguments are slices that live until the handler returns.
 *
 * A handler that changed data says three things: call_changed() (how many changes; 0 means nothing is propagated),
 * call_key_modified() per key (WATCH, tracking), call_event() (keyspace notifications). By default the request's own
 * bytes are what replicas and the AOF get; call_rewrite() replaces them where the effect is not deterministic. */
#ifndef SLIPSTREAM_CORE_RUN_CALL_H
#define SLIPSTREAM_CORE_RUN_CALL_H

#include "repl/stream_words.h"
#include "server/core/command/command.h"
#include "server/core/session/notify.h"
#include "server/keyspace/keyspace.h"
#include "server/resp/writer.h"

struct core;
struct session;
struct command_entry;

struct call {
    struct core *core;
    struct session *session;
    struct database *db; /* the session's selected database */
    struct command_entry *command;
    uint32_t argc;
    const struct bytes *argv;
    struct reply *reply;
    struct bytes raw;        /* the request as one RESP array, empty when it has to be encoded anew */
    int64_t now_ms;          /* wall clock, one value for the whole command, transaction or script */
    uint64_t first_key_hash; /* of the row's first key, when first_key_index != 0 */
    uint32_t first_key_index;
    uint64_t changes; /* written by call_changed() */
    bool rewritten;   /* propagation already said by the handler */
    bool from_master; /* or from a file: what it led to has been propagated, and expired keys are kept for their DEL */
    bool waits;       /* written by whoever lets the caller wait: it has not run to its end */
    uint64_t secrets; /* written by call_secret_arg(): core/command/secrets.h */
};

/* The hash of argv[i], free when dispatch has computed it for prefetching. */
static inline uint64_t call_key_hash(const struct call *call, uint32_t i)
{
    return i == call->first_key_index ? call->first_key_hash : key_hash(call->argv[i]);
}

/* Lookups with the caller's time and role. NULL: no such key, which is an event for those that read. Who looks up to
 * write finds no remains of an expired key under that name afterwards, on a replica that takes writes either. */
struct record *call_find_read(struct call *call, uint32_t arg);
struct record *call_find_write(struct call *call, uint32_t arg);
/* Read by a command that then writes over it, whatever was there: GETSET. */
struct record *call_find_read_to_write(struct call *call, uint32_t arg);
struct record *call_find(struct call *call, struct database *db, struct bytes key, unsigned lookup_flags);

/* -WRONGTYPE unless r (may be NULL) has the type: true = answered, return at once. */
bool call_wrong_type(struct call *call, const struct record *r, enum value_type type);

/* Argument readers: false = an error was answered, return at once. `error` NULL: Redis's default text. */
bool call_arg_i64(struct call *call, uint32_t arg, int64_t *out, const char *error);
bool call_arg_range(struct call *call, uint32_t arg, int64_t least, int64_t most, int64_t *out, const char *error);
bool call_arg_double(struct call *call, uint32_t arg, double *out, const char *error);
bool call_arg_is(const struct call *call, uint32_t arg, const char *word); /* case-insensitive */
/* NULL: there is no such database, and this is answered. In our master's stream it ends the stream. */
struct database *call_database(struct call *call, int64_t index);
void call_secret_arg(struct call *call, uint32_t arg); /* MONITOR shows it as (redacted) */
void call_syntax_error(struct call *call);
void call_help(struct call *call, const char *const *lines); /* NULL-terminated; X HELP */
void call_unknown_subcommand(struct call *call);

/* Effects. */
static inline void call_changed(struct call *call, uint64_t changes)
{
    call->changes += changes;
}
void call_key_modified(struct call *call, struct database *db, struct bytes key);
void call_event(struct call *call, enum notify_class class_, const char *event, struct database *db, struct bytes key);
/* Deletes a key along with what else the command does: WATCH and a "del" event tell of it. false: there was none.
 * aside: as database_delete. */
bool call_delete_key(struct call *call, struct bytes key, uint64_t hash, bool aside);

/* Instead of the request's own bytes, these (may be called several times: they leave together, as one transaction). */
void call_rewrite(struct call *call, struct database *db, uint32_t argc, const struct bytes *argv);
/* The command came down to a removal: DEL, or UNLINK where the directive for such removals (`lazy`) asks for it. */
void call_rewrite_removal(struct call *call, struct bytes key, bool lazy);
void call_rewrite_nothing(struct call *call); /* changed, but nothing is to be propagated */
/* What leaves now, or comes from our master and is passed on, is in words that not every replica knows. Said before. */
void call_says(struct call *call, enum stream_words words);
static inline void call_passes_on(struct call *call, enum stream_words words)
{
    if (call->from_master) call_says(call, words);
}
static inline void call_passes_on_redis_8_2(struct call *call)
{
    call_passes_on(call, WORDS_OF_REDIS_8);
    call_passes_on(call, WORDS_OF_VALKEY_9);
}
bool call_may_say_7_0(const struct call *call); /* else what leaves is to be in words of 6.2 */

#endif
