/* DEBUG: for tests and for looking inside. Guarded by enable-debug-command. Server process. */
#include "rdb/dump.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/glob.h"
#include "server/base/log.h"
#include "server/base/number.h"
#include "server/commands/debug_crash.h"
#include "server/commands/debug_inspect.h"
#include "server/commands/tables.h"
#include "server/core/clients/clients.h"
#include "server/core/config/config.h"
#include "server/core/core.h"
#include "server/core/dataset/append_only.h"
#include "server/core/dataset/persistence.h"
#include "server/core/dataset/propagate.h"
#include "server/core/process/cron.h"
#include "server/core/process/restart.h"
#include "server/core/run/block_keys.h"
#include "server/core/run/call.h"
#include "server/core/run/dataset_load.h"
#include "server/core/session/key_watchers.h"
#include "server/core/script_host.h"
#include "server/core/settings.h"
#include "server/data/quicklist.h"
#include "server/data/settings.h"
#include "server/net/loop.h"
#include "repl/replication.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SLEEP_MOST_S     1e9
#define LOADAOF_WAITS_MS 10000

/* A number at the argument's beginning is enough, as clients' tests know; without one there is no sleep. */
static void debug_sleep(struct call *call)
{
    char *text = bytes_to_text(call->argv[2]);
    double seconds = strtod(text, NULL);
    mem_free(text);
    if (seconds > SLEEP_MOST_S) seconds = SLEEP_MOST_S;
    if (seconds > 0) {
        struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
        while (nanosleep(&t, &t) && errno == EINTR) continue; /* a timer's signal is no reason to wake */
    }
    loop_refresh_time(call->core->loop);
    reply_ok(call->reply);
}

/* --- digests --- */

static void reply_digest(struct call *call, const uint8_t digest[20])
{
    static const char hex[] = "0123456789abcdef";
    char text[41];
    for (int i = 0; i < 20; i++) {
        text[2 * i] = hex[digest[i] >> 4];
        text[2 * i + 1] = hex[digest[i] & 15];
    }
    text[40] = 0;
    reply_simple(call->reply, text);
}

static void debug_digest(struct call *call)
{
    uint8_t digest[20];
    keyspace_digest(call->core->keyspace, digest);
    reply_digest(call, digest);
}

static void debug_digest_value(struct call *call)
{
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        uint8_t digest[20] = {0};
        struct record *r = database_peek(call->db, call->argv[i], key_hash(call->argv[i]));
        if (r) record_digest_value(r, digest);
        reply_digest(call, digest);
    }
}

/* --- the dataset --- */

static void empty_all(struct call *call)
{
    struct database_change change = {.db = -1, .now_ms = call->now_ms};
    key_watchers_tell_database(call->core->key_watchers, &change);
    keyspace_flush(call->core->keyspace, false);
}

static void dataset_is_back(struct core *core)
{
    persistence_state(core)->changes_since_save = 0;
    block_keys_database_touched(core->block_keys, -1);
    loop_refresh_time(core->loop);
}

static void debug_reload(struct call *call)
{
    bool save = true, flush = true, merge = false;
    for (uint32_t i = 2; i < call->argc; i++) {
        if (call_arg_is(call, i, "nosave"))
            save = false;
        else if (call_arg_is(call, i, "noflush"))
            flush = false;
        else if (call_arg_is(call, i, "merge"))
            merge = true;
        else
            return reply_error(call->reply, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
    }
    struct core *core = call->core;
    bool missing = false;
    if (save && persistence_save_now(core))
        return reply_error(call->reply, "ERR Error saving the dataset, check the log");
    if (flush) empty_all(call);
    keyspace_set_meeting(core->keyspace, flush ? DATASET_GIVES_WAY : merge ? DATASET_MERGES : DATASET_STAYS);
    int status = persistence_load_file(core, core->settings->rdb.filename, &missing);
    keyspace_set_meeting(core->keyspace, DATASET_GIVES_WAY);
    if (status) return reply_error(call->reply, "ERR Error trying to load the RDB dump, check server logs");
    dataset_is_back(core);
    log_warning("DB reloaded by DEBUG RELOAD");
    reply_ok(call->reply);
}

/* A payload of DUMP without its type, version and checksum. */
static size_t serialized_length(const struct core *core, const struct record *r)
{
    const struct rdb_settings *settings = &core->settings->rdb;
    struct rdb_payload payload = rdb_dump(r, settings->compress, (enum rdb_write_for)settings->write_for);
    if (!payload.data) payload = rdb_dump(r, settings->compress, RDB_FOR_AUTO);
    mem_free(payload.data);
    return payload.len - 11;
}

/* A file that cannot be loaded is the end of the process, as in Redis: the half that was must not be written over the
 * whole. */
static void debug_loadaof(struct call *call)
{
    struct core *core = call->core;
    struct aof_loaded loaded;
    if (!core->settings->aof.enabled && !append_only_has_files(core)) /* else what BGREWRITEAOF left can be loaded */
        return reply_error(call->reply, "ERR The append only file is disabled");
    if (persistence_state(core)->loading)
        return reply_error(call->reply, "LOADING Redis is loading the dataset in memory");
    if (append_only_flush(core, LOADAOF_WAITS_MS) != 0)
        return reply_error(call->reply, "ERR The append only file is not all on the disk, check server logs.");
    empty_all(call);
    enum aof_load_outcome outcome = dataset_load_append_only(core, &loaded);
    aof_loaded_free(&loaded);
    if (outcome == AOF_LOAD_FAILED) exit(1);
    if (outcome != AOF_LOAD_GOOD)
        return reply_error(call->reply, "ERR Error trying to load the AOF files, check server logs.");
    dataset_is_back(core);
    log_warning("Append Only File loaded by DEBUG LOADAOF");
    reply_ok(call->reply);
}

static void debug_object(struct call *call)
{
    struct record *r = database_peek(call->db, call->argv[2], key_hash(call->argv[2]));
    if (!r) return reply_error(call->reply, "ERR no such key");
    char nodes[128] = "";
    if (record_encoding(r) == ENCODING_QUICKLIST) {
        const struct quicklist *ql = record_object(r);
        snprintf(nodes, sizeof nodes, " ql_nodes:%zu ql_avg_node:%.2f ql_listpack_max:%d", quicklist_nodes(ql),
                 (double)quicklist_count(ql) / (double)quicklist_nodes(ql), data_settings->list_max_listpack_size);
    }
    reply_bulkf(call->reply, "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%lld%s",
                (void *)r, value_encoding_name(record_encoding(r)), serialized_length(call->core, r),
                record_access_clock(r) & ~RECORD_CLOCK_COUNTS, (long long)keyspace_idle_s(call->core->keyspace, r),
                nodes);
}

static void debug_set_active_expire(struct call *call)
{
    keyspace_set_active_expiry(call->core->keyspace, !bytes_equal_text(call->argv[2], "0"));
    reply_ok(call->reply);
}

static void debug_set_disable_deny_scripts(struct call *call)
{
    call->core->script_host->allow_looks(call->core, !bytes_equal_text(call->argv[2], "0"));
    reply_ok(call->reply);
}

static void debug_set_skip_checksum(struct call *call)
{
    call->core->settings->rdb.ignore_checksum = !bytes_equal_text(call->argv[2], "0");
    reply_ok(call->reply);
}

static void debug_change_repl_id(struct call *call)
{
    log_warning("Changing replication IDs after receiving change-repl-id");
    replication_change_id(call->core->replication);
    reply_ok(call->reply);
}

/* What has not happened here happens there, and in our own append-only file: it is the same stream. */
static void debug_replicate(struct call *call)
{
    if (!replication_is_replica(call->core->replication))
        propagate_command(call->core->propagation, -1, call->argc - 2, call->argv + 2);
    reply_ok(call->reply);
}

static void debug_jmap(struct call *call)
{
    call_rewrite_nothing(call);
    reply_ok(call->reply);
}

/* Fills the database with count keys: prefix:n = value:n. */
static void debug_populate(struct call *call)
{
    int64_t count, size = -1;
    static const char not_positive[] = "ERR value is out of range, must be positive";
    if (!call_arg_range(call, 2, 0, INT64_MAX, &count, not_positive)) return;
    struct bytes prefix = call->argc > 3 ? call->argv[3] : BYTES("key");
    if (call->argc > 4 && !call_arg_range(call, 4, 0, 512 * 1024 * 1024, &size, not_positive)) return;
    database_reserve(call->db, database_size(call->db) + (size_t)count);
    for (int64_t i = 0; i < count; i++) {
        char key[512], text[64];
        int key_len = snprintf(key, sizeof key, "%.*s:%lld", (int)(prefix.len < 400 ? prefix.len : 400),
                               (const char *)prefix.ptr, (long long)i);
        struct bytes name = bytes_make(key, (size_t)key_len);
        uint64_t hash = key_hash(name);
        if (database_find(call->db, name, hash, call->now_ms, LOOKUP_WRITE)) continue;
        int text_len = snprintf(text, sizeof text, "value:%lld", (long long)i);
        if (size <= 0) {
            database_set_string(call->db, name, hash, bytes_make(text, (size_t)text_len), false);
            continue;
        }
        uint8_t *padded = mem_calloc(1, (size_t)size + 1);
        memcpy(padded, text, (size_t)text_len < (size_t)size ? (size_t)text_len : (size_t)size);
        database_set_string_raw(call->db, name, hash, bytes_make(padded, (size_t)size), false);
        mem_free(padded);
    }
    replication_changed_unsaid(call->core->replication);
    reply_ok(call->reply);
}

/* --- odds and ends --- */

static void debug_error(struct call *call)
{
    char *text = bytes_to_text(call->argv[2]);
    reply_error(call->reply, text);
    mem_free(text);
}

static void debug_log(struct call *call)
{
    log_warning("DEBUG LOG: %.*s", (int)call->argv[2].len, (const char *)call->argv[2].ptr);
    reply_ok(call->reply);
}

static void debug_stringmatch_len(struct call *call)
{
    int64_t len;
    if (!call_arg_range(call, 2, 0, 512 * 1024 * 1024, &len, NULL)) return;
    char *pattern = bytes_to_text(call->argv[3]);
    uint8_t *text = mem_calloc(1, (size_t)len + 1);
    memset(text, 'a', (size_t)len);
    glob_match(bytes_from_text(pattern), bytes_make(text, (size_t)len), false);
    mem_free(text);
    mem_free(pattern);
    reply_ok(call->reply);
}

/* As if somebody had set the machine's clock, for this process alone: no duration may notice. */
static void debug_step_wall_clock(struct call *call)
{
    int64_t ms;
    if (!call_arg_range(call, 2, -INT64_C(1000) * 1000 * 1000 * 1000, INT64_C(1000) * 1000 * 1000 * 1000, &ms, NULL))
        return;
    clock_step_wall(ms * 1000);
    loop_refresh_time(call->core->loop);
    reply_ok(call->reply);
}

static void debug_pause_cron(struct call *call)
{
    cron_set_paused(!bytes_equal_text(call->argv[2], "0"));
    reply_ok(call->reply);
}

static void debug_packed_threshold(struct call *call)
{
    uint64_t bytes;
    if (parse_memory(call->argv[2], &bytes) || bytes > UINT32_MAX)
        return reply_error(call->reply, "ERR argument must be a memory value bigger than 1 and smaller than 4gb");
    quicklist_plain_above_bytes = bytes ? bytes : SIZE_MAX;
    reply_ok(call->reply);
}

/* Output chunks are common to all clients and given back when they are sent: none has a buffer that could shrink. */
static void debug_replybuffer(struct call *call)
{
    int64_t ms;
    bool resizing = call_arg_is(call, 2, "resizing");
    if (!resizing && !call_arg_is(call, 2, "peak-reset-time")) return call_unknown_subcommand(call);
    bool word = call_arg_is(call, 3, "never") || call_arg_is(call, 3, "reset");
    if (!resizing && !word && !call_arg_i64(call, 3, &ms, NULL)) return;
    reply_ok(call->reply);
}

static void debug_accepted(struct call *call)
{
    reply_ok(call->reply);
}

/* Lost on purpose: what looks for leaks has one to find. */
static void debug_leak(struct call *call)
{
    (void)!bytes_to_text(call->argv[2]);
    reply_ok(call->reply);
}

/* Whether there is a number of milliseconds where one may stand; else this is answered. */
static bool delay_of_arg(struct call *call, int64_t *ms)
{
    *ms = 0;
    if (call->argc > 2 && !call_arg_i64(call, 2, ms, NULL)) return false;
    if (*ms < 0) *ms = 0;
    return true;
}

static void debug_restart(struct call *call)
{
    int64_t ms;
    if (delay_of_arg(call, &ms) && restart_begin(call->core, ms))
        reply_error(call->reply, "ERR failed to restart the server. Check server logs.");
}

static void debug_crash_and_recover(struct call *call)
{
    int64_t ms;
    if (delay_of_arg(call, &ms) && restart_after_crash(call->core->lifecycle, ms))
        reply_error(call->reply, "ERR failed to restart the server. Check server logs.");
}

static void debug_cluster(struct call *call)
{
    reply_error(call->reply, "ERR Debug option only available for cluster mode enabled setup!");
}

/* Each RESP type once, so that a client library's reader can be tried. */
static void debug_protocol(struct call *call)
{
    struct reply *r = call->reply;
    if (call_arg_is(call, 2, "string"))
        reply_bulk_text(r, "Hello World");
    else if (call_arg_is(call, 2, "integer"))
        reply_integer(r, 12345);
    else if (call_arg_is(call, 2, "double"))
        reply_double(r, 3.141);
    else if (call_arg_is(call, 2, "null"))
        reply_null(r);
    else if (call_arg_is(call, 2, "array")) {
        reply_array(r, 3);
        for (int i = 0; i < 3; i++) reply_integer(r, i);
    } else if (call_arg_is(call, 2, "set")) {
        reply_set(r, 3);
        for (int i = 0; i < 3; i++) reply_integer(r, i);
    } else if (call_arg_is(call, 2, "map")) {
        reply_map(r, 3);
        for (int i = 0; i < 3; i++) {
            reply_integer(r, i);
            reply_boolean(r, i == 1);
        }
    } else if (call_arg_is(call, 2, "attrib")) {
        static const char popularity[] = "|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n";
        if (r->protocol == 3) reply_raw(r, BYTES(popularity)); /* of no use to any command, and ignored by clients */
        reply_bulk_text(r, "Some real reply following the attribute");
    } else if (call_arg_is(call, 2, "push")) {
        if (r->protocol == 2) return reply_error(r, "ERR RESP2 is not supported by this command");
        reply_push_begin(r, 2);
        reply_bulk_text(r, "server-cpu-usage");
        reply_integer(r, 42);
        reply_push_end(r);
        reply_bulk_text(r, "Some real reply following the push reply");
    } else if (call_arg_is(call, 2, "verbatim"))
        reply_verbatim(r, BYTES("This is a verbatim\nstring"), "txt");
    else if (call_arg_is(call, 2, "bignum"))
        reply_big_number(r, BYTES("1234567999999999999999999999999999999"));
    else if (call_arg_is(call, 2, "true"))
        reply_boolean(r, true);
    else if (call_arg_is(call, 2, "false"))
        reply_boolean(r, false);
    else
        reply_error(
            r, "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|"
               "set|map|attrib|push|verbatim|true|false");
}

static void debug_config_rewrite(struct call *call)
{
    char error[512];
    if (config_rewrite(call->core->config, true, error) == 0)
        reply_ok(call->reply);
    else
        reply_error(call->reply, error);
}

static const char *const help_lines[] = {
    "AOF-FLUSH-SLEEP <microsec>",
    "    Accepted, without effect: another process writes the file.",
    "ASSERT",
    "    Crash by assertion failed.",
    "CHANGE-REPL-ID",
    "    Change the replication IDs of the instance.",
    "CLIENT-EVICTION",
    "    Show low level client eviction pools info (maxmemory-clients).",
    "CONFIG-REWRITE-FORCE-ALL",
    "    Like CONFIG REWRITE but writes all configuration options.",
    "CRASH-AND-RECOVER [<milliseconds>]",
    "    Kill this process and start another one after a <milliseconds> delay (default 0).",
    "DICT-RESIZING <0|1>",
    "    Accepted, without effect: tables grow by a segment at a time.",
    "DIGEST",
    "    Output a hex signature representing the current DB content.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Output a hex signature of the values of all the specified keys.",
    "ERROR <string>",
    "    Return a Redis protocol error with <string> as message.",
    "HTSTATS <dbid>",
    "    Return hash table statistics of the specified database.",
    "HTSTATS-KEY <key>",
    "    Like HTSTATS but for the hash table stored at <key>'s value.",
    "JMAP",
    "    Accepted, without effect.",
    "LEAK <string>",
    "    Create a memory leak of the input string.",
    "LISTPACK <key>",
    "    Show low level info about the listpack encoding of <key>.",
    "LOADAOF",
    "    Flush the AOF buffers on disk and reload the AOF in memory.",
    "LOG <message>",
    "    Write <message> to the server log.",
    "MALLCTL <key> [<val>]",
    "    Get or set a malloc tuning integer.",
    "MALLCTL-STR <key> [<val>]",
    "    Get or set a malloc tuning string.",
    "OBJECT <key>",
    "    Show low level info about `key` and associated value.",
    "OOM",
    "    Crash the server simulating an out-of-memory error.",
    "PANIC",
    "    Crash the server simulating a panic.",
    "PAUSE-CRON <0|1>",
    "    Stop periodic cron job processing.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Create <count> string keys named key:<num>.",
    "PROTOCOL <type>",
    "    Reply with a test value of the specified type.",
    "QUICKLIST <key>",
    "    Show low level info about the quicklist encoding of <key>.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Sets the size above which an element has a node to itself. 0: the default.",
    "RELOAD [option ...]",
    "    Save the RDB on disk and reload it back to memory. Valid <option> values:",
    "    * MERGE, NOFLUSH, NOSAVE",
    "REPLICATE <string> [<string> ...]",
    "    Replicates the command to replicas, and to the AOF, without running it: data diverge.",
    "REPLYBUFFER RESIZING|PEAK-RESET-TIME <value>",
    "    Accepted, without effect: no client has a reply buffer of its own.",
    "RESTART [<milliseconds>]",
    "    Graceful restart: save config, db, restart after a <milliseconds> delay (default 0).",
    "SDSLEN <key>",
    "    Show low level info about the strings of <key> and its value.",
    "SEGFAULT",
    "    Crash the server with sigsegv.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Setting it to 0 disables expiring keys in background.",
    "SET-DISABLE-DENY-SCRIPTS <0|1>",
    "    Setting it to 1 lets scripts call DEBUG and CLIENT LIST.",
    "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
    "    Enable or disable checksum checks for RDB files and RESTORE's payload.",
    "SLEEP <seconds>",
    "    Stop the server for <seconds>. Decimals allowed.",
    "STEP-WALL-CLOCK <milliseconds>",
    "    Make the wall clock of this process go wrong by so much more.",
    "STRINGMATCH-LEN <len> <pattern>",
    "    Match <pattern> against <len> characters.",
    "STRUCTSIZE",
    "    Return the size of different core C structures.",
    NULL,
};

static void debug_help(struct call *call)
{
    call_help(call, help_lines);
}

#define FLAGS (CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_PROTECTED)

/* To clients DEBUG is one command, as in Redis: its subcommands are not in the table. */
static const struct {
    const char *name;
    void (*run)(struct call *call);
    int arity; /* as a row's */
} debug_subcommands[] = {
    {"aof-flush-sleep", debug_accepted, 3},
    {"assert", debug_assert, -2},
    {"change-repl-id", debug_change_repl_id, 2},
    {"client-enforce-reply-list", debug_accepted, 3},
    {"client-eviction", debug_client_eviction, 2},
    {"clusterlink", debug_cluster, -2},
    {"config-rewrite-force-all", debug_config_rewrite, 2},
    {"crash-and-recover", debug_crash_and_recover, -2},
    {"dict-resizing", debug_accepted, 3},
    {"digest", debug_digest, 2},
    {"digest-value", debug_digest_value, -2},
    {"drop-cluster-packet-filter", debug_accepted, 3},
    {"error", debug_error, 3},
    {"help", debug_help, 2},
    {"htstats", debug_htstats, -3},
    {"htstats-key", debug_htstats_key, -3},
    {"jmap", debug_jmap, -2},
    {"leak", debug_leak, 3},
    {"listpack", debug_listpack, 3},
    {"loadaof", debug_loadaof, -2},
    {"log", debug_log, 3},
    {"mallctl", debug_mallctl, -3},
    {"mallctl-str", debug_mallctl_str, -3},
    {"object", debug_object, -3},
    {"oom", debug_oom, -2},
    {"panic", debug_panic, -2},
    {"pause-cron", debug_pause_cron, 3},
    {"populate", debug_populate, -3},
    {"protocol", debug_protocol, 3},
    {"quicklist", debug_quicklist, -3},
    {"quicklist-packed-threshold", debug_packed_threshold, 3},
    {"reload", debug_reload, -2},
    {"replicate", debug_replicate, -3},
    {"replybuffer", debug_replybuffer, -4},
    {"restart", debug_restart, -2},
    {"sdslen", debug_sdslen, 3},
    {"segfault", debug_segfault, -2},
    {"set-active-expire", debug_set_active_expire, 3},
    {"set-disable-deny-scripts", debug_set_disable_deny_scripts, 3},
    {"set-skip-checksum-validation", debug_set_skip_checksum, 3},
    {"sleep", debug_sleep, 3},
    {"step-wall-clock", debug_step_wall_clock, 3},
    {"stringmatch-len", debug_stringmatch_len, 4},
    {"structsize", debug_structsize, -2},
};

static void debug_command(struct call *call)
{
    for (size_t i = 0; i < sizeof debug_subcommands / sizeof *debug_subcommands; i++) {
        int arity = debug_subcommands[i].arity, argc = (int)call->argc;
        if (!call_arg_is(call, 1, debug_subcommands[i].name)) continue;
        if (arity >= 0 ? argc != arity : argc < -arity) break;
        debug_subcommands[i].run(call);
        return;
    }
    call_unknown_subcommand(call);
}

const struct command debug_commands[] = {
    {"debug", debug_command, -2, FLAGS, 0},
    {.name = NULL},
};
