/* What every handler needs of its call: lookups in the caller's time and role, argument readers, effects. Server
 * process. */
#include "server/core/run/call.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/number.h"
#include "server/core/command/command_table.h"
#include "server/core/command/secrets.h"
#include "server/core/core.h"
#include "server/core/dataset/propagate.h"
#include "server/core/run/stream_fault.h"
#include "server/core/session/key_watchers.h"
#include "server/core/session/notify.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"

#include <stdio.h>

static unsigned caller_flags(const struct call *call, unsigned flags)
{
    if (call->session->no_touch && !(flags & LOOKUP_TOUCH)) flags |= LOOKUP_NO_TOUCH;
    return call->from_master ? flags | LOOKUP_KEEP_EXPIRED : flags;
}

/* A replica hides what has expired until its master's DEL. Who writes there under such a name must not meet the remains
 * nor inherit their expiry, so they go first, as in Redis. */
static void clear_the_name(struct call *call, struct database *db, struct bytes key, uint64_t hash)
{
    if (likely(call->core->settings->repl.read_only) || call->from_master) return;
    database_remove_hidden(db, key, hash, call->now_ms);
}

static void tell_miss(struct call *call, struct database *db, struct bytes key)
{
    call_event(call, NOTIFY_KEY_MISS, "keymiss", db, key);
}

struct record *call_find(struct call *call, struct database *db, struct bytes key, unsigned lookup_flags)
{
    uint64_t hash = key_hash(key);
    struct record *r = database_find(db, key, hash, call->now_ms, caller_flags(call, lookup_flags));
    if (r) return r;
    if (lookup_flags & LOOKUP_WRITE)
        clear_the_name(call, db, key, hash);
    else if (!(lookup_flags & LOOKUP_NO_NOTIFY))
        tell_miss(call, db, key);
    return NULL;
}

struct record *call_find_read(struct call *call, uint32_t arg)
{
    struct record *r = database_find(call->db, call->argv[arg], call_key_hash(call, arg), call->now_ms,
                                     caller_flags(call, LOOKUP_READ));
    if (!r) tell_miss(call, call->db, call->argv[arg]);
    return r;
}

struct record *call_find_write(struct call *call, uint32_t arg)
{
    uint64_t hash = call_key_hash(call, arg);
    struct record *r = database_find(call->db, call->argv[arg], hash, call->now_ms, caller_flags(call, LOOKUP_WRITE));
    if (!r) clear_the_name(call, call->db, call->argv[arg], hash);
    return r;
}

struct record *call_find_read_to_write(struct call *call, uint32_t arg)
{
    struct record *r = call_find_read(call, arg);
    if (!r) clear_the_name(call, call->db, call->argv[arg], call_key_hash(call, arg));
    return r;
}

bool call_wrong_type(struct call *call, const struct record *r, enum value_type type)
{
    if (!r || record_type(r) == type) return false;
    reply_error(call->reply, "WRONGTYPE Operation against a key holding the wrong kind of value");
    return true;
}

bool call_arg_i64(struct call *call, uint32_t arg, int64_t *out, const char *error)
{
    if (parse_i64(call->argv[arg], out) == 0) return true;
    reply_error(call->reply, error ? error : "ERR value is not an integer or out of range");
    return false;
}

bool call_arg_range(struct call *call, uint32_t arg, int64_t least, int64_t most, int64_t *out, const char *error)
{
    if (!call_arg_i64(call, arg, out, error)) return false;
    if (*out >= least && *out <= most) return true;
    if (error)
        reply_error(call->reply, error);
    else
        reply_errorf(call->reply, "ERR value is out of range, value must between %lld and %lld", (long long)least,
                     (long long)most);
    return false;
}

/* What a master writes into a database that we do not have may not go into another, nor be left out in silence. */
struct database *call_database(struct call *call, int64_t index)
{
    struct keyspace *ks = call->core->keyspace;
    if (index >= 0 && index < keyspace_databases(ks)) return keyspace_database(ks, (int)index);
    reply_error(call->reply, "ERR DB index is out of range");
    if (!call->from_master) return NULL;
    bool loading = call->session->kind == SESSION_LOADER;
    log_warning("%s: its command %s names DB %lld, and there are only %d databases here (directive 'databases')",
                loading ? "What is being loaded cannot be loaded" : "Our master's stream cannot be followed",
                call->command->full_name, (long long)index, keyspace_databases(ks));
    if (!loading)
        stream_fault_say(call->core->stream_faults,
                         "its command %s names DB %lld, and there are only %d databases here (directive 'databases')",
                         call->command->full_name, (long long)index, keyspace_databases(ks));
    call->session->stream_broken = true;
    return NULL;
}

bool call_arg_double(struct call *call, uint32_t arg, double *out, const char *error)
{
    if (parse_double(call->argv[arg], out) == 0) return true;
    reply_error(call->reply, error ? error : "ERR value is not a valid float");
    return false;
}

bool call_arg_is(const struct call *call, uint32_t arg, const char *word)
{
    return bytes_equal_nocase(call->argv[arg], word);
}

void call_secret_arg(struct call *call, uint32_t arg)
{
    call->secrets = secrets_with(call->secrets, arg);
}

void call_syntax_error(struct call *call)
{
    reply_error(call->reply, "ERR syntax error");
}

static void upper_name(const struct call *call, char out[64])
{
    const struct command_entry *e = call->command->container ? call->command->container : call->command;
    size_t n = 0;
    for (const char *c = e->row->name; *c && n < 63; c++) out[n++] = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    out[n] = 0;
}

void call_help(struct call *call, const char *const *lines)
{
    char name[64];
    size_t count = 0;
    upper_name(call, name);
    while (lines[count]) count++;
    reply_array(call->reply, count + 3);
    char text[160];
    snprintf(text, sizeof text, "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    reply_simple(call->reply, text);
    for (size_t i = 0; i < count; i++) reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Print this help.");
}

void call_unknown_subcommand(struct call *call)
{
    char name[64];
    upper_name(call, name);
    uint32_t shown = call->command->container || call->argc > 1 ? 1 : 0;
    reply_errorf(call->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
                 (int)(call->argv[shown].len < 128 ? call->argv[shown].len : 128), (const char *)call->argv[shown].ptr,
                 name);
}

void call_key_modified(struct call *call, struct database *db, struct bytes key)
{
    if (likely(!key_watchers_any(call->core->key_watchers))) return;
    struct key_change change = {.db = database_index(db), .key = key, .by = call->session};
    key_watchers_tell(call->core->key_watchers, &change);
}

void call_event(struct call *call, enum notify_class class_, const char *event, struct database *db, struct bytes key)
{
    notify_key_event(call->core, class_, event, database_index(db), key);
}

bool call_delete_key(struct call *call, struct bytes key, uint64_t hash, bool aside)
{
    if (!database_delete(call->db, key, hash, aside)) return false;
    call_key_modified(call, call->db, key);
    call_event(call, NOTIFY_GENERIC, "del", call->db, key);
    return true;
}

void call_rewrite(struct call *call, struct database *db, uint32_t argc, const struct bytes *argv)
{
    call->rewritten = true;
    if (!call->from_master && !call->session->unpropagated)
        propagate_command(call->core->propagation, database_index(db), argc, argv);
}

void call_rewrite_removal(struct call *call, struct bytes key, bool lazy)
{
    struct bytes argv[2] = {propagate_removal_name(lazy), key};
    call_rewrite(call, call->db, 2, argv);
}

void call_rewrite_nothing(struct call *call)
{
    call->rewritten = true;
}

void call_says(struct call *call, enum stream_words words)
{
    const struct session *s = call->session;
    if (s->kind == SESSION_LOADER || (s->unpropagated && !call->from_master)) return;
    replication_says(call->core->replication, words);
}

bool call_may_say_7_0(const struct call *call)
{
    return replication_may_say_7_0(call->core->replication);
}
