/* What the configuration file says about snapshots. Owned by core/settings.h. */
#ifndef SLIPSTREAM_RDB_SETTINGS_H
#define SLIPSTREAM_RDB_SETTINGS_H

#include <stdbool.h>

/* sanitize-dump-payload. Every value is checked in depth in any case; this says what becomes of one with a flaw that
 * could be made good: mended, refused, or refused when it comes from a client. */
enum rdb_sanitize { SANITIZE_NO, SANITIZE_YES, SANITIZE_CLIENTS };

/* rdb-write-for: who must be able to load what is written. What it has no room for is left out, which is statistics of
 * streams, and libraries; where it is fields' expiries nothing is written. RDB_FOR_AUTO is RDB_FOR_7_0 where nobody has
 * asked for one in particular, and RDB_FOR_8 while fields of hashes expire. */
enum rdb_write_for { RDB_FOR_AUTO, RDB_FOR_6_2, RDB_FOR_7_0, RDB_FOR_7_2, RDB_FOR_8, RDB_FOR_VALKEY_9 };

struct rdb_settings {
    char *filename; /* dbfilename */
    bool compress;  /* rdbcompression */
    bool checksum;  /* rdbchecksum: written; reading always verifies one that is there */
    bool save_incremental_fsync;
    bool stop_writes_on_save_error;
    bool delete_sync_files; /* rdb-del-sync-files */
    int sanitize_payload;   /* enum rdb_sanitize */
    int write_for;          /* enum rdb_write_for */
    bool ignore_checksum;   /* DEBUG SET-SKIP-CHECKSUM-VALIDATION */
    int key_save_delay_us;  /* a debugging aid that upstream's tests use */
    int key_load_delay_us;  /* same; a negative value sleeps 1 us every -N keys */
};

#endif
