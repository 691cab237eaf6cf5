/* The append-only file as the server sees it: on or off, its manifest, its journal and its rewrites. Server process.
 *
 * The journal (aof/journal_handle.h) writes the stream that the backlog has; this part says which file it goes to.
 *
 *   off            nothing is written
 *   waiting        appendonly was turned on, or another dataset came: the first rewrite is under way, and the stream
 *                  from its offset on is written beside it, into temp-FILENAME.incr
 *   on             the manifest's newest incremental is being written
 *
 * A rewrite is a full sync whose receiver is a file: the child writes the dataset as of offset H, and the stream from
 * H + 1 on goes to another incremental. When and in which steps is decided in aof/rewrite*.h. */
#ifndef SLIPSTREAM_CORE_DATASET_APPEND_ONLY_H
#define SLIPSTREAM_CORE_DATASET_APPEND_ONLY_H

#include "server/aof/load.h"

struct append_only;
struct core;

struct append_only *append_only_new(struct core *core); /* off; nothing on the disk is looked at */

/* At the start, once the dataset is what `loaded` says, or another one where loaded->manifest is NULL: goes on where
 * the files end, and makes those that are missing (Redis's "on server start"). Called whatever `appendonly` says; with
 * "no" nothing happens. 0, or -1: logged, the server must not start.
 *
 * Where loaded->history_known, the stream goes on as that history behind loaded->offset, and nobody else restores one;
 * else it goes on as it stands. Before replication_start(). `loaded` and its manifest stay the caller's. */
int append_only_open(struct core *core, const struct aof_loaded *loaded);

/* Everything that has been published is written and fsynced when it returns. DEBUG LOADAOF, SHUTDOWN. Waits, at most
 * timeout_ms. 0, or -1: logged. 0 as well when it is off. */
int append_only_flush(struct core *core, int timeout_ms);

#endif
