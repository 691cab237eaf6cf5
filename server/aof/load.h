/* Loading an append-only file: the manifest's base and incrementals, in order, through the caller's hands. Server
 * process, at its start and for DEBUG LOADAOF.
 *
 * It reads, checks and cuts; what a command does is the host's business. Nothing is changed on the disk unless the
 * settings ask for it (aof-load-truncated). */
#ifndef SLIPSTREAM_AOF_LOAD_H
#define SLIPSTREAM_AOF_LOAD_H

#include "server/aof/manifest.h"
#include "server/aof/scan.h"
#include "server/aof/settings.h"

/* What has been loaded, and where the stream goes on. */
struct aof_loaded {
    struct aof_manifest *manifest; /* the caller's; NULL: there was no append-only file at all */
    uint64_t base_bytes, total_bytes;
    uint64_t last_file_bytes;      /* valid bytes of the newest incremental: the journal goes on behind them */
    bool history_known;            /* the annotations told the offset behind the last command */
    char id[41], second_id[41];
    int64_t second_offset;
    uint64_t offset;
    int db; /* selected there; -1: not known */
};

#endif
