/* Commands about keys whatever they hold: existence, removal, renaming, copying, whole databases. Server process. */
#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/glob.h"
#include "server/base/number.h"
#include "server/commands/tables.h"
#include "server/core/clients/clients.h"
#include "server/core/core.h"
#include "server/core/dataset/children.h"
#include "server/core/dataset/persistence.h"
#include "server/core/run/call.h"
#include "server/core/session/key_watchers.h"
#include "server/core/session/session.h"
#include "server/core/settings.h"

static void key_changed(struct call *call, struct database *db, struct bytes key, const char *event)
{
    call_key_modified(call, db, key);
    call_event(call, NOTIFY_GENERIC, event, db, key);
}

/* --- removal --- */

static void delete_keys(struct call *call, bool aside)
{
    int64_t removed = 0;
    /* On a master an expired key goes as expired, and does not count; on a replica it goes as any other. */
    bool hidden_too = replication_is_replica(call->core->replication);
    for (uint32_t i = 1; i < call->argc; i++) {
        if (!hidden_too && !call_find_write(call, i)) continue;
        if (!database_delete(call->db, call->argv[i], call_key_hash(call, i), aside)) continue;
        key_changed(call, call->db, call->argv[i], "del");
        removed++;
    }
    call_changed(call, (uint64_t)removed);
    reply_integer(call->reply, removed);
}

static void del_command(struct call *call)
{
    delete_keys(call, call->core->settings->keyspace.lazyfree_lazy_user_del);
}

static void unlink_command(struct call *call)
{
    delete_keys(call, true);
}

/* --- looking --- */

static void exists_command(struct call *call)
{
    int64_t found = 0;
    for (uint32_t i = 1; i < call->argc; i++) {
        if (call_find(call, call->db, call->argv[i], LOOKUP_NO_TOUCH)) found++;
    }
    reply_integer(call->reply, found);
}

static void touch_command(struct call *call)
{
    int64_t found = 0;
    for (uint32_t i = 1; i < call->argc; i++)
        found += call_find(call, call->db, call->argv[i], LOOKUP_READ | LOOKUP_TOUCH) != NULL;
    reply_integer(call->reply, found);
}

static void type_command(struct call *call)
{
    struct record *r = call_find(call, call->db, call->argv[1], LOOKUP_NO_TOUCH);
    reply_simple(call->reply, r ? value_type_name(record_type(r)) : "none");
}

static void dbsize_command(struct call *call)
{
    reply_integer(call->reply, (int64_t)database_size(call->db));
}

static void randomkey_command(struct call *call)
{
    struct record *r = database_random(call->db, call->now_ms, false);
    if (r)
        reply_bulk(call->reply, record_key(r));
    else
        reply_null(call->reply);
}

struct keys_walk {
    struct call *call;
    struct bytes pattern;
    bool everything;
    size_t count;
};

static int visit_matching(void *arg, struct record *r)
{
    struct keys_walk *w = arg;
    if (record_is_expired(r, w->call->now_ms)) return 0;
    if (!w->everything && !glob_match(w->pattern, record_key(r), false)) return 0;
    reply_bulk(w->call->reply, record_key(r));
    w->count++;
    return reply_unheard(w->call->reply);
}

static void keys_command(struct call *call)
{
    struct keys_walk w = {.call = call, .pattern = call->argv[1], .everything = bytes_equal_text(call->argv[1], "*")};
    struct reply_deferred d;
    reply_deferred_begin(call->reply, &d);
    database_walk(call->db, visit_matching, &w);
    reply_deferred_array(call->reply, &d, w.count);
}

/* --- moving --- */

static void rename_key(struct call *call, bool only_if_free)
{
    struct record *r = call_find_write(call, 1);
    struct bytes from = call->argv[1], to = call->argv[2];
    if (!r) return reply_error(call->reply, "ERR no such key");
    bool taken = call_find_write(call, 2) != NULL, lazy = call->core->settings->keyspace.lazyfree_lazy_server_del;
    if (only_if_free && taken) return reply_integer(call->reply, 0);
    if (!bytes_equal(from, to)) {
        if (taken) database_delete(call->db, to, call_key_hash(call, 2), lazy);
        r = call_find_write(call, 1); /* the deletion may have moved it */
        database_move(call->db, r, call->db, to, call_key_hash(call, 2));
        key_changed(call, call->db, from, "rename_from");
        key_changed(call, call->db, to, "rename_to");
        call_changed(call, 1);
    }
    if (only_if_free)
        reply_integer(call->reply, 1);
    else
        reply_ok(call->reply);
}

static void rename_command(struct call *call)
{
    rename_key(call, false);
}

static void renamenx_command(struct call *call)
{
    rename_key(call, true);
}

/* NULL: answered. */
static struct database *database_argument(struct call *call, uint32_t arg)
{
    int64_t index;
    if (!call_arg_range(call, arg, INT32_MIN, INT32_MAX, &index, NULL)) return NULL;
    return call_database(call, index);
}

static void move_command(struct call *call)
{
    struct database *to = database_argument(call, 2);
    if (!to) return;
    if (to == call->db) return reply_error(call->reply, "ERR source and destination objects are the same");
    struct bytes key = call->argv[1];
    uint64_t hash = call_key_hash(call, 1);
    struct record *r = call_find_write(call, 1);
    if (!r || call_find(call, to, key, LOOKUP_WRITE)) return reply_integer(call->reply, 0);
    r = call_find_write(call, 1);
    database_move(call->db, r, to, key, hash);
    key_changed(call, call->db, key, "move_from");
    key_changed(call, to, key, "move_to");
    call_changed(call, 1);
    reply_integer(call->reply, 1);
}

static void copy_command(struct call *call)
{
    struct database *to = call->db;
    bool replace = false;
    for (uint32_t i = 3; i < call->argc; i++) {
        if (call_arg_is(call, i, "replace"))
            replace = true;
        else if (call_arg_is(call, i, "db") && i + 1 < call->argc)
            to = database_argument(call, ++i);
        else
            return call_syntax_error(call);
        if (!to) return;
    }
    struct bytes from_key = call->argv[1], to_key = call->argv[2];
    if (to == call->db && bytes_equal(from_key, to_key))
        return reply_error(call->reply, "ERR source and destination objects are the same");
    if (!call_find_read(call, 1)) return reply_integer(call->reply, 0);
    uint64_t hash = call_key_hash(call, 2);
    bool taken = call_find(call, to, to_key, LOOKUP_WRITE) != NULL;
    if (taken && !replace) return reply_integer(call->reply, 0);
    if (taken) database_delete(to, to_key, hash, call->core->settings->keyspace.lazyfree_lazy_server_del);
    database_copy(call_find(call, call->db, from_key, LOOKUP_NO_STATS), to, to_key, hash);
    key_changed(call, to, to_key, "copy_to");
    call_changed(call, 1);
    reply_integer(call->reply, 1);
}

/* --- whole databases --- */

static bool read_flush_mode(struct call *call, bool *aside)
{
    *aside = call->core->settings->keyspace.lazyfree_lazy_user_flush;
    if (call->argc == 1) return true;
    if (call->argc == 2 && call_arg_is(call, 1, "async")) return *aside = true;
    if (call->argc == 2 && call_arg_is(call, 1, "sync")) return *aside = false, true;
    call_syntax_error(call);
    return false;
}

static void tell_watchers(struct call *call, int db, struct database *replaced_by)
{
    struct database_change change = {.db = db, .replaced_by = replaced_by, .now_ms = call->now_ms};
    key_watchers_tell_database(call->core->key_watchers, &change);
}

static void flushdb_command(struct call *call)
{
    bool aside;
    if (!read_flush_mode(call, &aside)) return;
    size_t removed = database_size(call->db);
    tell_watchers(call, database_index(call->db), NULL);
    database_flush(call->db, aside);
    call_changed(call, removed ? removed : 1); /* even an empty one: a replica may hold what we do not */
    reply_ok(call->reply);
}

static void flushall_command(struct call *call)
{
    bool aside;
    if (!read_flush_mode(call, &aside)) return;
    size_t removed = 0;
    struct keyspace *ks = call->core->keyspace;
    for (int i = 0; i < keyspace_databases(ks); i++) removed += database_size(keyspace_database(ks, i));
    tell_watchers(call, -1, NULL);
    keyspace_flush(ks, aside);
    persistence_withdraw_child(call->core);
    replication_dataset_flushed(call->core->replication);
    /* The old file must not stay to come back at the next start. */
    if (call->core->settings->server.save_point_count > 0) persistence_save_behind_command(call->core);
    call_changed(call, removed ? removed : 1);
    reply_ok(call->reply);
}

static void swapdb_command(struct call *call)
{
    struct keyspace *ks = call->core->keyspace;
    int64_t a, b;
    if (!call_arg_range(call, 1, INT32_MIN, INT32_MAX, &a, "ERR invalid first DB index") ||
        !call_arg_range(call, 2, INT32_MIN, INT32_MAX, &b, "ERR invalid second DB index"))
        return;
    struct database *first = call_database(call, a), *second = first ? call_database(call, b) : NULL;
    if (!second) return;
    if (a != b) {
        tell_watchers(call, (int)a, second);
        tell_watchers(call, (int)b, first);
        keyspace_swap(ks, (int)a, (int)b);
    }
    call_changed(call, 1);
    reply_ok(call->reply);
}

/* --- OBJECT --- */

static struct record *object_of(struct call *call)
{
    struct record *r = call_find(call, call->db, call->argv[2], LOOKUP_NO_TOUCH | LOOKUP_NO_NOTIFY);
    if (!r) reply_null(call->reply);
    return r;
}

static void object_encoding(struct call *call)
{
    struct record *r = object_of(call);
    if (r) reply_bulk_text(call->reply, value_encoding_name(record_encoding(r)));
}

static bool evicts_by_use(const struct call *call)
{
    enum eviction_policy p = call->core->settings->keyspace.maxmemory_policy;
    return p == EVICT_ALLKEYS_LRU || p == EVICT_VOLATILE_LRU || p == EVICT_ALLKEYS_LFU || p == EVICT_VOLATILE_LFU;
}

static void object_refcount(struct call *call)
{
    struct record *r = object_of(call);
    if (!r) return;
    /* Redis shares small integers among all keys and answers "very many" for them, unless each needs its own time of
     * use; ours cost no object at all. */
    bool small = record_is_integer(r) && record_integer(r) >= 0 && record_integer(r) < 10000;
    bool shared = small && !(call->core->settings->keyspace.maxmemory_bytes && evicts_by_use(call));
    reply_integer(call->reply, shared ? INT32_MAX : 1);
}

static bool counts_frequency(const struct call *call)
{
    enum eviction_policy p = call->core->settings->keyspace.maxmemory_policy;
    return p == EVICT_ALLKEYS_LFU || p == EVICT_VOLATILE_LFU;
}

static void object_idletime(struct call *call)
{
    struct record *r = object_of(call);
    if (!r) return;
    if (counts_frequency(call))
        return reply_error(
            call->reply,
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching "
            "between policies at runtime LRU and LFU data will take some time to adjust.");
    reply_integer(call->reply, keyspace_idle_s(call->core->keyspace, r));
}

static void object_freq(struct call *call)
{
    struct record *r = object_of(call);
    if (!r) return;
    if (!counts_frequency(call))
        return reply_error(
            call->reply,
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
            "switching between policies at runtime LRU and LFU data will take some time to adjust.");
    reply_integer(call->reply, keyspace_lfu(call->core->keyspace, r));
}

static void object_help(struct call *call)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        NULL};
    call_help(call, lines);
}

static const struct command object_subcommands[] = {
    {"encoding", object_encoding, 3, CMD_READONLY, CAT_KEYSPACE, KEYS(KEY_AT(2, KEY_RO)),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"freq", object_freq, 3, CMD_READONLY, CAT_KEYSPACE, KEYS(KEY_AT(2, KEY_RO)), .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"help", object_help, 2, CMD_LOADING | CMD_STALE, CAT_KEYSPACE},
    {"idletime", object_idletime, 3, CMD_READONLY, CAT_KEYSPACE, KEYS(KEY_AT(2, KEY_RO)),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {"refcount", object_refcount, 3, CMD_READONLY, CAT_KEYSPACE, KEYS(KEY_AT(2, KEY_RO)),
     .tips = TIP_NONDETERMINISTIC_OUTPUT},
    {.name = NULL},
};

const struct command keys_commands[] = {
    {"del", del_command, -2, CMD_WRITE, CAT_KEYSPACE, KEYS(KEY_RANGE(1, -1, 1, KEY_RM | KEY_DELETE)),
     .tips = TIP_REQUEST_MULTI_SHARD | TIP_RESPONSE_AGG_SUM},
    {"unlink", unlink_command, -2, CMD_WRITE | CMD_FAST, CAT_KEYSPACE, KEYS(KEY_RANGE(1, -1, 1, KEY_RM | KEY_DELETE)),
     .tips = TIP_REQUEST_MULTI_SHARD | TIP_RESPONSE_AGG_SUM},
    {"exists", exists_command, -2, CMD_READONLY | CMD_FAST, CAT_KEYSPACE, KEYS(KEY_RANGE(1, -1, 1, KEY_RO)),
     .tips = TIP_REQUEST_MULTI_SHARD | TIP_RESPONSE_AGG_SUM},
    {"touch", touch_command, -2, CMD_READONLY | CMD_FAST, CAT_KEYSPACE, KEYS(KEY_RANGE(1, -1, 1, KEY_RO)),
     .tips = TIP_REQUEST_MULTI_SHARD | TIP_RESPONSE_AGG_SUM},
    {"type", type_command, 2, CMD_READONLY | CMD_FAST, CAT_KEYSPACE, KEY_AT_1(KEY_RO)},
    {"dbsize", dbsize_command, 1, CMD_READONLY | CMD_FAST, CAT_KEYSPACE,
     .tips = TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_AGG_SUM},
    {"randomkey", randomkey_command, 1, CMD_READONLY | CMD_TOUCHES_ARBITRARY_KEYS, CAT_KEYSPACE,
     .tips = TIP_NONDETERMINISTIC_OUTPUT | TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_SPECIAL},
    {"keys", keys_command, 2, CMD_READONLY, CAT_KEYSPACE | CAT_DANGEROUS,
     .tips = TIP_NONDETERMINISTIC_OUTPUT_ORDER | TIP_REQUEST_ALL_SHARDS},
    {"rename", rename_command, 3, CMD_WRITE, CAT_KEYSPACE,
     KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_OW | KEY_UPDATE))},
    {"renamenx", renamenx_command, 3, CMD_WRITE | CMD_FAST, CAT_KEYSPACE,
     KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_OW | KEY_INSERT))},
    {"move", move_command, 3, CMD_WRITE | CMD_FAST, CAT_KEYSPACE, KEY_AT_1(KEY_RW | KEY_ACCESS | KEY_UPDATE)},
    {"copy", copy_command, -3, CMD_WRITE | CMD_DENYOOM, CAT_KEYSPACE,
     KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS), KEY_AT(2, KEY_OW | KEY_UPDATE))},
    {"flushdb", flushdb_command, -1, CMD_WRITE, CAT_KEYSPACE | CAT_DANGEROUS,
     .tips = TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_ALL_SUCCEEDED},
    {"flushall", flushall_command, -1, CMD_WRITE, CAT_KEYSPACE | CAT_DANGEROUS,
     .tips = TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_ALL_SUCCEEDED},
    {"swapdb", swapdb_command, 3, CMD_WRITE | CMD_FAST, CAT_KEYSPACE | CAT_DANGEROUS},
    {"object", call_unknown_subcommand, -2, 0, 0, .subcommands = object_subcommands},
    {.name = NULL},
};
