/* The one append-only file of Redis before 7, moved to where Redis 7 has its files. Server process, at its start. */
#ifndef SLIPSTREAM_AOF_TAKE_OVER_H
#define SLIPSTREAM_AOF_TAKE_OVER_H

#include "server/aof/manifest.h"
#include "server/aof/settings.h"

/* *manifest: what stands on the disk, NULL where there is none; afterwards it has the moved file, if there was one. 0;
 * -1: logged. May be interrupted anywhere, and is gone on with at the next start. */
int aof_take_over_old_file(const struct aof_settings *settings, struct aof_manifest **manifest);

#endif
