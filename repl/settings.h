/* What the configuration file says about replication. Owned by core/settings.h. */
#ifndef SLIPSTREAM_REPL_SETTINGS_H
#define SLIPSTREAM_REPL_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/bytes.h"

enum diskless_load { DISKLESS_LOAD_DISABLED, DISKLESS_LOAD_ON_EMPTY_DB, DISKLESS_LOAD_SWAPDB, DISKLESS_LOAD_FLUSH };

/* What of our master's stream cannot be applied: the link ends with the reason, or it is passed over. */
enum unknown_command { UNKNOWN_COMMAND_RESYNC_REFUSE, UNKNOWN_COMMAND_IGNORE };

struct repl_settings {
    char *master_host; /* replicaof; NULL: a master */
    int master_port;
    char *source_ip;          /* bind-source-addr; NULL: the kernel chooses */
    struct bytes master_auth; /* any bytes; empty: none */
    char *master_user;        /* NULL: none */
    bool serve_stale_data, read_only, disable_tcp_nodelay;
    bool diskless_sync;
    int diskless_sync_delay_s, diskless_sync_max_replicas;
    enum diskless_load diskless_load;
    enum unknown_command unknown_command;
    int timeout_s, ping_period_s;
    uint64_t backlog_bytes;
    int64_t backlog_ttl_s;
    bool adopt_backlog;       /* what a dead predecessor left of its stream is gone on with */
    int ahead_replica_wait_s; /* see comeback.h; 0: nobody is held back */
    int priority;
    char *announce_ip; /* NULL: as seen */
    int announce_port;
    bool announced; /* replica-announced */
    int min_replicas_to_write, min_replicas_max_lag_s;
    bool ignore_disk_write_error;
    bool lz4;                                      /* offer LZ4 to replicas of ours */
    uint64_t output_hard_bytes, output_soft_bytes; /* client-output-buffer-limit replica */
    int output_soft_s;
};

#endif
