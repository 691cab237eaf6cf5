/* The dataset as it was: from the append-only file, or from the snapshot. */
#ifndef SLIPSTREAM_CORE_RUN_DATASET_LOAD_H
#define SLIPSTREAM_CORE_RUN_DATASET_LOAD_H

#include "server/aof/load.h"

struct core;

/* At the start, answering clients in between. *loaded: what there is of an append-only file; aof_loaded_free()'s in any
 * case. 0: loaded, or there is nothing, or asked to stop meanwhile; -1: logged, refuse to start. */
int dataset_load_at_start(struct core *core, struct aof_loaded *loaded);
/* The append-only file into the keyspace as it is (the caller flushes first). GOOD, also where there is none. */
enum aof_load_outcome dataset_load_append_only(struct core *core, struct aof_loaded *loaded);

#endif
