/* One row per directive that Redis 7.2 knows, and our own: names, kind, default, bounds, and where its value lives.
 * Server process.
 *
 * What we honour is a field of struct settings that some part reads. Rows with DIR_NO_EFFECT are accepted and shown,
 * and nobody asks for their value; most have no field, and the configuration keeps the value itself. Defaults are text,
 * read by the same function as the file. */
#include "server/core/config/config_parts.h"

#include <limits.h>
#include <string.h>

#ifndef PROTECTED_MODE
#define PROTECTED_MODE "yes" /* the container image is built with "no": see the Makefile */
#endif

#define FIELD(member) .offset = offsetof(struct settings, member), .width = sizeof(((struct settings *)0)->member)
#define ROW(name_, alias_, kind_, flags_, initial_)                                                                    \
    .name = name_, .alias = alias_, .kind = kind_, .flags = flags_, .initial = initial_

#define BOOL(name, alias, flags, initial, member)                                                                      \
    {                                                                                                                  \
        ROW(name, alias, KIND_BOOL, flags, initial), FIELD(member)                                                     \
    }
#define INT(name, alias, flags, initial, least_, most_, member)                                                        \
    {                                                                                                                  \
        ROW(name, alias, KIND_INTEGER, flags, initial), FIELD(member), .least = least_, .most = most_                  \
    }
#define INT_SETTLED(name, alias, flags, initial, least_, most_, member, settle_)                                       \
    {                                                                                                                  \
        ROW(name, alias, KIND_INTEGER, flags, initial), FIELD(member), .least = least_, .most = most_,                 \
                                                                       .settle = settle_                               \
    }
#define MEMORY(name, alias, flags, initial, least_, most_, member, settle_)                                            \
    {                                                                                                                  \
        ROW(name, alias, KIND_MEMORY, flags, initial), FIELD(member), .least = least_, .most = most_,                  \
                                                                      .settle = settle_                                \
    }
#define ENUM(name, alias, flags, initial, names_, member)                                                              \
    {                                                                                                                  \
        ROW(name, alias, KIND_ENUM, flags, initial), FIELD(member), .names = names_                                    \
    }
#define STRING(name, alias, flags, initial, refusal_, member)                                                          \
    {                                                                                                                  \
        ROW(name, alias, KIND_STRING, flags, initial), FIELD(member), .refusal = refusal_                              \
    }
#define SECRET(name, alias, flags, member)                                                                             \
    {                                                                                                                  \
        ROW(name, alias, KIND_SECRET, flags, ""), FIELD(member)                                                        \
    }
#define SPECIAL(name, alias, flags, initial, grammar_, member)                                                         \
    {                                                                                                                  \
        ROW(name, alias, KIND_SPECIAL, flags, initial), FIELD(member), .grammar = &grammar_                            \
    }

/* Known to Redis, without effect here. */
#define BOOL_0(name, alias, flags, initial)                                                                            \
    {                                                                                                                  \
        ROW(name, alias, KIND_BOOL, DIR_NO_EFFECT | (flags), initial)                                                  \
    }
#define INT_0(name, alias, flags, initial, least_, most_)                                                              \
    {                                                                                                                  \
        ROW(name, alias, KIND_INTEGER, DIR_NO_EFFECT | (flags), initial), .least = least_, .most = most_               \
    }
#define MEMORY_0(name, alias, flags, initial, least_, most_)                                                           \
    {                                                                                                                  \
        ROW(name, alias, KIND_MEMORY, DIR_NO_EFFECT | (flags), initial), .least = least_, .most = most_                \
    }
#define ENUM_0(name, alias, flags, initial, names_)                                                                    \
    {                                                                                                                  \
        ROW(name, alias, KIND_ENUM, DIR_NO_EFFECT | (flags), initial), .names = names_                                 \
    }
#define STRING_0(name, alias, flags, initial, refusal_)                                                                \
    {                                                                                                                  \
        ROW(name, alias, KIND_STRING, DIR_NO_EFFECT | (flags), initial), .refusal = refusal_                           \
    }

#define FIX  DIR_IMMUTABLE
#define NUL  DIR_EMPTY_IS_NULL
#define LMAX LONG_MAX

static const struct enum_name yes_no_local[] = {{"no", 0}, {"yes", 1}, {"local", 2}, {0}};
static const struct enum_name log_levels[] = {{"debug", LOG_DEBUG},     {"verbose", LOG_VERBOSE},
                                              {"notice", LOG_NOTICE},   {"warning", LOG_WARNING},
                                              {"nothing", LOG_NOTHING}, {0}};
static const struct enum_name eviction_policies[] = {{"volatile-lru", EVICT_VOLATILE_LRU},
                                                     {"volatile-lfu", EVICT_VOLATILE_LFU},
                                                     {"volatile-random", EVICT_VOLATILE_RANDOM},
                                                     {"volatile-ttl", EVICT_VOLATILE_TTL},
                                                     {"allkeys-lru", EVICT_ALLKEYS_LRU},
                                                     {"allkeys-lfu", EVICT_ALLKEYS_LFU},
                                                     {"allkeys-random", EVICT_ALLKEYS_RANDOM},
                                                     {"noeviction", EVICT_NONE},
                                                     {0}};
static const struct enum_name diskless_loads[] = {{"disabled", DISKLESS_LOAD_DISABLED},
                                                  {"on-empty-db", DISKLESS_LOAD_ON_EMPTY_DB},
                                                  {"swapdb", DISKLESS_LOAD_SWAPDB},
                                                  {0}};
static const struct enum_name sanitize_payloads[] = {
    {"no", SANITIZE_NO}, {"yes", SANITIZE_YES}, {"clients", SANITIZE_CLIENTS}, {0}};
static const struct enum_name write_fors[] = {{"auto", RDB_FOR_AUTO},
                                              {"6.2", RDB_FOR_6_2},
                                              {"7.0", RDB_FOR_7_0},
                                              {"7.2", RDB_FOR_7_2},
                                              {"8", RDB_FOR_8},
                                              {"valkey9", RDB_FOR_VALKEY_9},
                                              {0}};
static const struct enum_name unknown_commands[] = {
    {"resync-refuse", UNKNOWN_COMMAND_RESYNC_REFUSE}, {"ignore", UNKNOWN_COMMAND_IGNORE}, {0}};
static const struct enum_name syslog_facilities[] = {
    {"user", 0},   {"local0", 1}, {"local1", 2}, {"local2", 3}, {"local3", 4},
    {"local4", 5}, {"local5", 6}, {"local6", 7}, {"local7", 8}, {0}};
static const struct enum_name append_fsyncs[] = {
    {"everysec", AOF_FSYNC_EVERYSEC}, {"always", AOF_FSYNC_ALWAYS}, {"no", AOF_FSYNC_NO}, {0}};
static const struct enum_name channel_defaults[] = {{"allchannels", 1}, {"resetchannels", 0}, {0}};
static const struct enum_name oom_score_modes[] = {{"no", OOM_SCORE_NO},
                                                   {"yes", OOM_SCORE_YES},
                                                   {"relative", OOM_SCORE_RELATIVE},
                                                   {"absolute", OOM_SCORE_ABSOLUTE},
                                                   {0}};
static const struct enum_name supervisors[] = {{"upstart", SUPERVISED_UPSTART},
                                               {"systemd", SUPERVISED_SYSTEMD},
                                               {"auto", SUPERVISED_AUTO},
                                               {"no", SUPERVISED_NO},
                                               {0}};
static const struct enum_name tls_auth_modes[] = {
    {"no", TLS_CLIENTS_NO}, {"yes", TLS_CLIENTS_YES}, {"optional", TLS_CLIENTS_OPTIONAL}, {0}};
static const struct enum_name endpoint_types[] = {{"ip", 0}, {"hostname", 1}, {"unknown-endpoint", 2}, {0}};
static const struct enum_name propagation_errors[] = {{"ignore", 0}, {"panic", 1}, {"panic-on-replicas", 2}, {0}};

/* --- what a string may not be --- */

static const char *dbfilename_refusal(const char *value)
{
    return strchr(value, '/') ? "dbfilename can't be a path, just a filename" : NULL;
}

static const char *appendfilename_refusal(const char *value)
{
    if (!*value) return "appendfilename can't be empty";
    return strchr(value, '/') ? "appendfilename can't be a path, just a filename" : NULL;
}

static const char *appenddirname_refusal(const char *value)
{
    if (!*value) return "appenddirname can't be empty";
    return strchr(value, '/') ? "appenddirname can't be a path, just a dirname" : NULL;
}

static const char *event_loop_refusal(const char *value)
{
    bool known = strcmp(value, "auto") == 0 || strcmp(value, "io_uring") == 0 || strcmp(value, "epoll") == 0;
    return known ? NULL : "argument(s) must be one of the following: auto, io_uring, epoll";
}

static const char *syslog_facility_refusal(const char *value)
{
    if (config_enum_value(syslog_facilities, bytes_from_text(value), -1) >= 0) return NULL;
    return "argument(s) must be one of the following: user, local0, local1, local2, local3, local4, local5, local6, "
           "local7";
}

static const char *title_template_refusal(const char *value)
{
    static const char *const known[] = {"{title}",    "{listen-addr}", "{server-mode}", "{port}",
                                        "{tls-port}", "{unixsocket}",  "{config-file}"};
    static const char message[] = "template format is invalid or contains unknown variables";
    if (!*value) return message;
    for (const char *at = value; (at = strchr(at, '{')); at++) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) found |= !strncmp(at, known[i], strlen(known[i]));
        if (!found) return message;
    }
    return NULL;
}

/* --- what is accepted, but used within limits --- */

static void settle_hz(struct settings *s)
{
    if (s->server.hz < 1) s->server.hz = 1;
    if (s->server.hz > 500) s->server.hz = 500;
}

/* The watch is set again by each tick of the clockwork: it must outlast the time between two. */
static void settle_watchdog(struct settings *s)
{
    int least_ms = 2 * 1000 / s->server.hz;
    if (s->server.watchdog_period_ms && s->server.watchdog_period_ms < least_ms)
        s->server.watchdog_period_ms = least_ms;
}

static void settle_backlog(struct settings *s)
{
    if (s->repl.backlog_bytes < 16 * 1024) s->repl.backlog_bytes = 16 * 1024;
}

/* clang-format off */
const struct directive config_directives[] = {
    /* network */
    SPECIAL("bind", NULL, DIR_WORDS, "* -::*", bind_grammar, net.bind),
    STRING("bind-source-addr", NULL, NUL, "", NULL, repl.source_ip),
    INT("port", NULL, 0, "6379", 0, 65535, net.port),
    STRING("unixsocket", NULL, FIX | NUL, "", NULL, net.unix_socket),
    {ROW("unixsocketperm", NULL, KIND_OCTAL, FIX, "0"), FIELD(net.unix_socket_mode), .most = 0777},
    INT("tcp-backlog", NULL, FIX, "511", 0, INT_MAX, net.tcp_backlog),
    INT("timeout", NULL, 0, "0", 0, INT_MAX, net.timeout_s),
    INT("tcp-keepalive", NULL, 0, "300", 0, INT_MAX, net.tcp_keepalive_s),
    INT("maxclients", NULL, 0, "10000", 1, UINT_MAX, net.max_clients),
    INT("socket-mark-id", NULL, FIX, "0", 0, UINT_MAX, net.socket_mark_id),
    BOOL("protected-mode", NULL, 0, PROTECTED_MODE, net.protected_mode),
    SECRET("requirepass", NULL, 0, net.requirepass),
    STRING("aclfile", NULL, FIX, "", NULL, acl.file),
    INT("acllog-max-len", NULL, 0, "128", 0, LMAX, acl.log_max_len),
    ENUM("acl-pubsub-default", NULL, 0, "resetchannels", channel_defaults, acl.channels_of_new_user),
    MEMORY("proto-max-bulk-len", NULL, 0, "536870912", 1024 * 1024, LMAX, net.max_bulk_bytes, NULL),
    MEMORY("client-query-buffer-limit", NULL, 0, "1073741824", 1024 * 1024, LMAX, net.query_buffer_limit_bytes, NULL),
    SPECIAL("client-output-buffer-limit", NULL, DIR_WORDS,
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", output_limit_grammar,
            net.output_limits),
    SPECIAL("maxmemory-clients", NULL, 0, "0", client_memory_grammar, net.maxmemory_clients_bytes),

    /* process */
    BOOL("always-show-logo", NULL, FIX, "no", server.always_show_logo),
    BOOL("daemonize", NULL, FIX, "no", server.daemonize),
    ENUM("supervised", NULL, FIX, "no", supervisors, server.supervised),
    STRING("pidfile", NULL, FIX | NUL, "", NULL, server.pidfile),
    ENUM("loglevel", NULL, 0, "notice", log_levels, server.loglevel),
    STRING("logfile", NULL, FIX, "", NULL, server.logfile),
    BOOL("syslog-enabled", NULL, FIX, "no", server.syslog_enabled),
    STRING("syslog-ident", NULL, FIX, "redis", NULL, server.syslog_ident),
    STRING("syslog-facility", NULL, FIX, "local0", syslog_facility_refusal, server.syslog_facility),
    INT("databases", NULL, FIX, "16", 1, INT_MAX, server.databases),
    BOOL("set-proc-title", NULL, FIX, "yes", server.set_proc_title),
    STRING("proc-title-template", NULL, 0, "{title} {listen-addr} {server-mode}",
           title_template_refusal, server.proc_title_template),
    SPECIAL("dir", NULL, DIR_PROTECTED | DIR_NOT_LOADING, NULL, dir_grammar, server.dir),
    INT_SETTLED("hz", NULL, 0, "10", 0, INT_MAX, server.hz, settle_hz),
    INT("shutdown-timeout", NULL, 0, "10", 0, INT_MAX, server.shutdown_timeout_s),
    SPECIAL("shutdown-on-sigint", NULL, DIR_WORDS, "default", shutdown_grammar, server.shutdown_on_sigint),
    SPECIAL("shutdown-on-sigterm", NULL, DIR_WORDS, "default", shutdown_grammar, server.shutdown_on_sigterm),
    BOOL("crash-log-enabled", NULL, 0, "yes", server.crash_log_enabled),
    INT_SETTLED("watchdog-period", NULL, DIR_HIDDEN, "0", 0, INT_MAX, server.watchdog_period_ms, settle_watchdog),
    BOOL("use-exit-on-panic", NULL, DIR_HIDDEN, "no", server.exit_on_panic),
    STRING("server_cpulist", NULL, FIX, "", NULL, server.server_cpulist),
    STRING("bio_cpulist", NULL, FIX, "", NULL, server.bio_cpulist),
    STRING("bgsave_cpulist", NULL, FIX, "", NULL, server.bgsave_cpulist),
    STRING("aof_rewrite_cpulist", NULL, FIX, "", NULL, server.aof_rewrite_cpulist),
    ENUM("oom-score-adj", NULL, 0, "no", oom_score_modes, server.oom_score_mode),
    SPECIAL("oom-score-adj-values", NULL, DIR_WORDS, "0 200 800", oom_score_grammar, server.oom_scores),
    ENUM("enable-protected-configs", NULL, FIX, "no", yes_no_local, server.enable_protected_configs),
    ENUM("enable-debug-command", NULL, FIX, "no", yes_no_local, server.enable_debug_command),
    ENUM("enable-module-command", NULL, FIX, "no", yes_no_local, server.enable_module_command),
    INT("slowlog-log-slower-than", NULL, 0, "10000", -1, LMAX, server.slowlog_slower_than_us),
    INT("slowlog-max-len", NULL, 0, "128", 0, LMAX, server.slowlog_max_len),
    INT("latency-monitor-threshold", NULL, 0, "0", 0, LMAX, server.latency_monitor_threshold_ms),
    BOOL("latency-tracking", NULL, 0, "yes", server.latency_tracking),
    SPECIAL("latency-tracking-info-percentiles", NULL, DIR_WORDS, "50 99 99.9",
            percentiles_grammar, server.latency_percentiles),
    INT("tracking-table-max-keys", NULL, 0, "1000000", 0, LMAX, server.tracking_table_max_keys),
    SPECIAL("notify-keyspace-events", NULL, 0, "", notify_grammar, server.notify_classes),
    STRING("event-loop", NULL, 0, "auto", event_loop_refusal, server.event_loop),

    /* memory and keyspace */
    MEMORY("maxmemory", NULL, 0, "0", 0, ULONG_MAX, keyspace.maxmemory_bytes, NULL),
    ENUM("maxmemory-policy", NULL, 0, "noeviction", eviction_policies, keyspace.maxmemory_policy),
    INT("maxmemory-samples", NULL, 0, "5", 1, INT_MAX, keyspace.maxmemory_samples),
    INT("maxmemory-eviction-tenacity", NULL, 0, "10", 0, 100, keyspace.maxmemory_eviction_tenacity),
    BOOL("replica-ignore-maxmemory", "slave-ignore-maxmemory", 0, "yes", keyspace.replica_ignore_maxmemory),
    INT("lfu-log-factor", NULL, 0, "10", 0, INT_MAX, keyspace.lfu_log_factor),
    INT("lfu-decay-time", NULL, 0, "1", 0, INT_MAX, keyspace.lfu_decay_time_min),
    INT("active-expire-effort", NULL, 0, "1", 1, 10, keyspace.active_expire_effort),
    BOOL("lazyfree-lazy-eviction", NULL, 0, "no", keyspace.lazyfree_lazy_eviction),
    BOOL("lazyfree-lazy-expire", NULL, 0, "no", keyspace.lazyfree_lazy_expire),
    BOOL("lazyfree-lazy-server-del", NULL, 0, "no", keyspace.lazyfree_lazy_server_del),
    BOOL("lazyfree-lazy-user-del", NULL, 0, "no", keyspace.lazyfree_lazy_user_del),
    BOOL("lazyfree-lazy-user-flush", NULL, 0, "no", keyspace.lazyfree_lazy_user_flush),

    /* value types */
    INT("hash-max-listpack-entries", "hash-max-ziplist-entries", 0, "512", 0, LMAX, data.hash_max_listpack_entries),
    MEMORY("hash-max-listpack-value", "hash-max-ziplist-value", 0, "64", 0, LMAX,
           data.hash_max_listpack_value_bytes, NULL),
    INT("list-max-listpack-size", "list-max-ziplist-size", 0, "-2", INT_MIN, INT_MAX, data.list_max_listpack_size),
    INT("list-compress-depth", NULL, 0, "0", 0, INT_MAX, data.list_compress_depth),
    INT("set-max-intset-entries", NULL, 0, "512", 0, LMAX, data.set_max_intset_entries),
    INT("set-max-listpack-entries", NULL, 0, "128", 0, LMAX, data.set_max_listpack_entries),
    MEMORY("set-max-listpack-value", NULL, 0, "64", 0, LMAX, data.set_max_listpack_value_bytes, NULL),
    INT("zset-max-listpack-entries", "zset-max-ziplist-entries", 0, "128", 0, LMAX, data.zset_max_listpack_entries),
    MEMORY("zset-max-listpack-value", "zset-max-ziplist-value", 0, "64", 0, LMAX,
           data.zset_max_listpack_value_bytes, NULL),
    MEMORY("hll-sparse-max-bytes", NULL, 0, "3000", 0, LMAX, data.hll_sparse_max_bytes, NULL),
    MEMORY("stream-node-max-bytes", NULL, 0, "4096", 0, LMAX, data.stream_node_max_bytes, NULL),
    INT("stream-node-max-entries", NULL, 0, "100", 0, LMAX, data.stream_node_max_entries),

    /* snapshots */
    SPECIAL("save", NULL, DIR_WORDS, "3600 1 300 100 60 10000", save_grammar, server.save_points),
    STRING("dbfilename", NULL, DIR_PROTECTED, "dump.rdb", dbfilename_refusal, rdb.filename),
    BOOL("rdbcompression", NULL, 0, "yes", rdb.compress),
    BOOL("rdbchecksum", NULL, FIX, "yes", rdb.checksum),
    BOOL("rdb-save-incremental-fsync", NULL, 0, "yes", rdb.save_incremental_fsync),
    BOOL("stop-writes-on-bgsave-error", NULL, 0, "yes", rdb.stop_writes_on_save_error),
    BOOL("rdb-del-sync-files", NULL, 0, "no", rdb.delete_sync_files),
    ENUM("sanitize-dump-payload", NULL, 0, "no", sanitize_payloads, rdb.sanitize_payload),
    ENUM("rdb-write-for", NULL, 0, "auto", write_fors, rdb.write_for),
    INT("rdb-key-save-delay", NULL, DIR_HIDDEN, "0", INT_MIN, INT_MAX, rdb.key_save_delay_us),
    INT("key-load-delay", NULL, DIR_HIDDEN, "0", INT_MIN, INT_MAX, rdb.key_load_delay_us),

    /* append-only file */
    BOOL("appendonly", NULL, DIR_NOT_LOADING, "no", aof.enabled),
    STRING("appendfilename", NULL, FIX, "appendonly.aof", appendfilename_refusal, aof.filename),
    STRING("appenddirname", NULL, FIX, "appendonlydir", appenddirname_refusal, aof.directory),
    ENUM("appendfsync", NULL, 0, "everysec", append_fsyncs, aof.fsync),
    BOOL("no-appendfsync-on-rewrite", NULL, 0, "no", aof.no_fsync_on_rewrite),
    INT("auto-aof-rewrite-percentage", NULL, 0, "100", 0, INT_MAX, aof.rewrite_percentage),
    MEMORY("auto-aof-rewrite-min-size", NULL, 0, "67108864", 0, LMAX, aof.rewrite_min_bytes, NULL),
    BOOL("aof-load-truncated", NULL, 0, "yes", aof.load_truncated),
    BOOL("aof-use-rdb-preamble", NULL, 0, "yes", aof.use_rdb_preamble),
    BOOL("aof-rewrite-incremental-fsync", NULL, 0, "yes", aof.rewrite_incremental_fsync),
    BOOL("aof-timestamp-enabled", NULL, 0, "no", aof.timestamp_enabled),
    BOOL("aof-disable-auto-gc", NULL, 0, "no", aof.disable_auto_gc),

    /* replication */
    SPECIAL("replicaof", "slaveof", FIX | DIR_WORDS, "", replicaof_grammar, repl.master_host),
    SECRET("masterauth", NULL, 0, repl.master_auth),
    STRING("masteruser", NULL, NUL | DIR_SECRET, "", NULL, repl.master_user),
    BOOL("replica-serve-stale-data", "slave-serve-stale-data", 0, "yes", repl.serve_stale_data),
    BOOL("replica-read-only", "slave-read-only", 0, "yes", repl.read_only),
    BOOL("repl-disable-tcp-nodelay", NULL, 0, "no", repl.disable_tcp_nodelay),
    BOOL("repl-diskless-sync", NULL, 0, "no", repl.diskless_sync),
    INT("repl-diskless-sync-delay", NULL, 0, "5", 0, INT_MAX, repl.diskless_sync_delay_s),
    INT("repl-diskless-sync-max-replicas", NULL, 0, "0", 0, INT_MAX, repl.diskless_sync_max_replicas),
    ENUM("repl-diskless-load", NULL, 0, "disabled", diskless_loads, repl.diskless_load),
    INT("repl-timeout", NULL, 0, "60", 1, INT_MAX, repl.timeout_s),
    INT("repl-ping-replica-period", "repl-ping-slave-period", 0, "10", 1, INT_MAX, repl.ping_period_s),
    MEMORY("repl-backlog-size", NULL, 0, "1048576", 1, LMAX, repl.backlog_bytes, settle_backlog),
    INT("repl-backlog-ttl", NULL, 0, "3600", 0, LMAX, repl.backlog_ttl_s),
    BOOL("adopt-backlog", NULL, 0, "yes", repl.adopt_backlog),
    INT("ahead-replica-wait", NULL, 0, "3", 0, INT_MAX, repl.ahead_replica_wait_s),
    INT("replica-priority", "slave-priority", 0, "100", 0, INT_MAX, repl.priority),
    STRING("replica-announce-ip", "slave-announce-ip", NUL, "", NULL, repl.announce_ip),
    INT("replica-announce-port", "slave-announce-port", 0, "0", 0, 65535, repl.announce_port),
    BOOL("replica-announced", NULL, 0, "yes", repl.announced),
    INT("min-replicas-to-write", "min-slaves-to-write", 0, "0", 0, INT_MAX, repl.min_replicas_to_write),
    INT("min-replicas-max-lag", "min-slaves-max-lag", 0, "10", 0, INT_MAX, repl.min_replicas_max_lag_s),
    BOOL("replica-ignore-disk-write-errors", NULL, DIR_NO_EFFECT, "no", repl.ignore_disk_write_error),
    ENUM("replica-unknown-command", NULL, 0, "resync-refuse", unknown_commands, repl.unknown_command),
    BOOL("repl-lz4", NULL, 0, "yes", repl.lz4),

    /* --- known to Redis, without effect here --- */
    BOOL_0("dynamic-hz", NULL, 0, "yes"),
    BOOL_0("activerehashing", NULL, 0, "yes"),
    BOOL_0("replica-lazy-flush", "slave-lazy-flush", 0, "no"),
    MEMORY_0("loading-process-events-interval-bytes", NULL, DIR_HIDDEN, "2097152", 1024, INT_MAX),

    INT("busy-reply-threshold", "lua-time-limit", 0, "5000", 0, LMAX, server.busy_reply_threshold_ms),
    STRING_0("locale-collate", NULL, 0, "", NULL),
    BOOL_0("lua-enable-deprecated-api", NULL, FIX | DIR_HIDDEN, "no"),

    INT("io-threads", NULL, FIX, "1", 1, 128, server.io_threads),
    BOOL_0("io-threads-do-reads", NULL, FIX, "no"),
    BOOL_0("disable-thp", NULL, FIX, "yes"),
    BOOL_0("jemalloc-bg-thread", NULL, 0, "yes"),
    BOOL_0("crash-memcheck-enabled", NULL, 0, "yes"),
    STRING_0("ignore-warnings", NULL, 0, "", NULL),
    ENUM_0("propagation-error-behavior", NULL, 0, "ignore", propagation_errors),

    BOOL_0("activedefrag", NULL, 0, "no"),
    MEMORY_0("active-defrag-ignore-bytes", NULL, 0, "104857600", 1, LMAX),
    INT_0("active-defrag-threshold-lower", NULL, 0, "10", 0, 1000),
    INT_0("active-defrag-threshold-upper", NULL, 0, "100", 0, 1000),
    INT_0("active-defrag-cycle-min", NULL, 0, "1", 1, 99),
    INT_0("active-defrag-cycle-max", NULL, 0, "25", 1, 99),
    INT_0("active-defrag-max-scan-fields", NULL, 0, "1000", 1, LMAX),

    BOOL_0("cluster-enabled", NULL, FIX, "no"),
    STRING_0("cluster-config-file", NULL, FIX, "nodes.conf", NULL),
    INT_0("cluster-node-timeout", NULL, 0, "15000", 0, LMAX),
    INT_0("cluster-port", NULL, FIX, "0", 0, 65535),
    INT_0("cluster-replica-validity-factor", "cluster-slave-validity-factor", 0, "10", 0, INT_MAX),
    BOOL_0("cluster-replica-no-failover", "cluster-slave-no-failover", 0, "no"),
    INT_0("cluster-migration-barrier", NULL, 0, "1", 0, INT_MAX),
    BOOL_0("cluster-allow-replica-migration", NULL, 0, "yes"),
    BOOL_0("cluster-require-full-coverage", NULL, 0, "yes"),
    BOOL_0("cluster-allow-reads-when-down", NULL, 0, "no"),
    BOOL_0("cluster-allow-pubsubshard-when-down", NULL, 0, "yes"),
    MEMORY_0("cluster-link-sendbuf-limit", NULL, 0, "0", 0, LMAX),
    STRING_0("cluster-announce-ip", NULL, 0, "", NULL),
    STRING_0("cluster-announce-hostname", NULL, 0, "", NULL),
    STRING_0("cluster-announce-human-nodename", NULL, 0, "", NULL),
    INT_0("cluster-announce-port", NULL, 0, "0", 0, 65535),
    INT_0("cluster-announce-tls-port", NULL, 0, "0", 0, 65535),
    INT_0("cluster-announce-bus-port", NULL, 0, "0", 0, 65535),
    ENUM_0("cluster-preferred-endpoint-type", NULL, 0, "ip", endpoint_types),


    /* TLS */
    INT("tls-port", NULL, 0, "0", 0, 65535, tls.tls_port),
    STRING("tls-cert-file", NULL, DIR_REREAD, "", NULL, tls.cert_file),
    STRING("tls-key-file", NULL, DIR_REREAD, "", NULL, tls.key_file),
    STRING("tls-key-file-pass", NULL, DIR_REREAD | DIR_SECRET, "", NULL, tls.key_file_pass),
    STRING("tls-client-cert-file", NULL, DIR_REREAD, "", NULL, tls.client_cert_file),
    STRING("tls-client-key-file", NULL, DIR_REREAD, "", NULL, tls.client_key_file),
    STRING("tls-client-key-file-pass", NULL, DIR_REREAD | DIR_SECRET, "", NULL, tls.client_key_file_pass),
    STRING("tls-dh-params-file", NULL, DIR_REREAD, "", NULL, tls.dh_params_file),
    STRING("tls-ca-cert-file", NULL, DIR_REREAD, "", NULL, tls.ca_cert_file),
    STRING("tls-ca-cert-dir", NULL, DIR_REREAD, "", NULL, tls.ca_cert_dir),
    ENUM("tls-auth-clients", NULL, 0, "yes", tls_auth_modes, tls.auth_clients),
    BOOL("tls-replication", NULL, 0, "no", tls.tls_replication),
    BOOL("tls-cluster", NULL, 0, "no", tls.tls_cluster),
    STRING("tls-protocols", NULL, 0, "", NULL, tls.protocols),
    STRING("tls-ciphers", NULL, 0, "", NULL, tls.ciphers),
    STRING("tls-ciphersuites", NULL, 0, "", NULL, tls.ciphersuites),
    BOOL("tls-prefer-server-ciphers", NULL, 0, "no", tls.prefer_server_ciphers),
    BOOL("tls-session-caching", NULL, 0, "yes", tls.session_caching),
    INT("tls-session-cache-size", NULL, 0, "20480", 0, INT_MAX, tls.session_cache_size),
    INT("tls-session-cache-timeout", NULL, 0, "300", 0, INT_MAX, tls.session_cache_timeout_s),
    INT("tls-handshake-timeout", NULL, 0, "10", 1, 3600, tls.handshake_timeout_s),
    BOOL("tls-kernel", NULL, DIR_REREAD, "yes", tls.kernel),
};
/* clang-format on */

const size_t config_directive_count = sizeof config_directives / sizeof *config_directives;

const struct directive *directive_find(struct bytes name)
{
    for (size_t i = 0; i < config_directive_count; i++) {
        const struct directive *d = &config_directives[i];
        if (bytes_equal_nocase(name, d->name) || (d->alias && bytes_equal_nocase(name, d->alias))) return d;
    }
    return NULL;
}
