/* What the configuration file says about snapshots. Owned by core/settings.h. */
#ifndef SLIPSTREAM_RDB_SETTINGS_H
#define SLIPSTREAM_RDB_SETTINGS_H

#include <stdbool.h>

struct rdb_settings {
    char *filename; /* dbfilename */
    bool compress;  /* rdbcompression */
    bool checksum;  /* rdbchecksum: written; reading always verifies one that is there */
    bool save_incremental_fsync;
    bool stop_writes_on_save_error;
    bool delete_sync_files; /* rdb-del-sync-files */
    int sanitize_payload;   /* sanitize-dump-payload: whatever it says, everything is checked in depth */
    int key_save_delay_us;  /* a debugging aid that upstream's tests use */
    int key_load_delay_us;  /* same; a negative value sleeps 1 us every -N keys */
    int loading_yield_keys; /* loading-process-events-interval-bytes' successor: 0 = default */
};

#endif
