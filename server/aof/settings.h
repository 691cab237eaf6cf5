/* What the configuration file says about the append-only file. Owned by core/settings.h. */
#ifndef SLIPSTREAM_AOF_SETTINGS_H
#define SLIPSTREAM_AOF_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum aof_fsync { AOF_FSYNC_NO, AOF_FSYNC_EVERYSEC, AOF_FSYNC_ALWAYS };

struct aof_settings {
    bool enabled;                   /* appendonly */
    char *filename;                 /* appendfilename */
    char *directory;                /* appenddirname */
    int fsync;                      /* enum aof_fsync: appendfsync */
    bool no_fsync_on_rewrite;       /* no-appendfsync-on-rewrite */
    int rewrite_percentage;         /* auto-aof-rewrite-percentage; 0: never by itself */
    int64_t rewrite_min_bytes;      /* auto-aof-rewrite-min-size */
    bool load_truncated;            /* aof-load-truncated */
    bool use_rdb_preamble;          /* aof-use-rdb-preamble */
    bool rewrite_incremental_fsync; /* aof-rewrite-incremental-fsync */
    bool timestamp_enabled;         /* aof-timestamp-enabled */
    bool disable_auto_gc;           /* aof-disable-auto-gc */
};

#endif
