/* Every setting, grouped by the part that reads it. Pure data: written by core/config/ alone, read by anyone it
 * is passed to. */
#ifndef SLIPSTREAM_CORE_SETTINGS_H
#define SLIPSTREAM_CORE_SETTINGS_H

#include "rdb/settings.h"
#include "repl/settings.h"
#include "server/acl/settings.h"
#include "server/aof/settings.h"
#include "server/base/log.h"
#include "server/core/os/oom_score.h"
#include "server/core/os/supervisor.h"
#include "server/data/settings.h"
#include "server/keyspace/settings.h"
#include "server/net/tls/settings.h"

#define BIND_MAX        16
#define SAVE_POINTS_MAX 32
#define PERCENTILES_MAX 32

struct server_settings {
    int databases;
    bool daemonize;
    enum supervision supervised;
    char *pidfile, *logfile, *dir;
    enum log_level loglevel;
    bool syslog_enabled;
    bool always_show_logo; /* else only where somebody watches: standard output is a terminal */
    char *syslog_ident, *syslog_facility;
    int hz;
    struct save_point {
        int64_t seconds;
        uint64_t changes;
    } save_points[SAVE_POINTS_MAX];
    int save_point_count;
    int shutdown_timeout_s;
    int shutdown_on_sigint, shutdown_on_sigterm;                               /* SHUTDOWN_* flags, 0: default */
    int enable_debug_command, enable_protected_configs, enable_module_command; /* 0 no, 1 yes, 2 local */
    int64_t slowlog_slower_than_us;                                            /* negative: no slow log */
    uint64_t slowlog_max_len;
    int64_t latency_monitor_threshold_ms; /* 0: no latency monitor */
    int64_t busy_reply_threshold_ms;      /* 0: whatever runs long keeps everybody waiting */
    bool latency_tracking;
    double latency_percentiles[PERCENTILES_MAX]; /* what INFO latencystats shows, 0 to 100 */
    int latency_percentile_count;
    int io_threads;          /* the loop's own among them */
    char *event_loop;        /* "auto", "io_uring", "epoll": ours */
    uint32_t notify_classes; /* notify-keyspace-events */
    uint64_t tracking_table_max_keys;
    enum oom_score_mode oom_score_mode;
    int oom_scores[OOM_SCORE_CLASSES];
    char *proc_title_template;
    bool set_proc_title;
    bool crash_log_enabled, exit_on_panic;
    char *server_cpulist, *bio_cpulist, *bgsave_cpulist,
        *aof_rewrite_cpulist; /* base/cpu_affinity.h; empty: anywhere */
    int watchdog_period_ms;   /* a turn of the loop that takes longer is reported; 0: none is */
};

struct net_settings {
    int port;
    char *bind[BIND_MAX];
    int bind_count;
    char *unix_socket;
    unsigned unix_socket_mode;
    int tcp_backlog, timeout_s, tcp_keepalive_s;
    unsigned max_clients;
    unsigned socket_mark_id; /* of listening sockets; 0: none */
    bool protected_mode;
    struct bytes requirepass; /* any bytes; empty: none */
    uint64_t max_bulk_bytes, query_buffer_limit_bytes;
    struct output_limit {
        uint64_t hard_bytes, soft_bytes;
        int soft_s;
    } output_limits[4]; /* enum client_class */
    uint64_t maxmemory_clients_bytes;
    int maxmemory_clients_percent; /* of maxmemory; not 0: instead of the bytes */
};

struct settings {
    struct server_settings server;
    struct net_settings net;
    struct tls_settings tls;
    struct acl_settings acl;
    struct keyspace_settings keyspace;
    struct data_settings data;
    struct rdb_settings rdb;
    struct aof_settings aof;
    struct repl_settings repl;
};

#endif
