/* Commands of before, run again: from an append-only file, or from what a dead server left of its stream. */
#ifndef SLIPSTREAM_CORE_RUN_LOADER_H
#define SLIPSTREAM_CORE_RUN_LOADER_H

#include "server/aof/scan.h"

struct core;
struct loader;

/* Database 0 is selected. `source` names what is loaded, in messages ("the append only file x"), and stays the
 * caller's. */
struct loader *loader_new(struct core *core, const char *source);
void loader_free(struct loader *l);
/* Runs them in order, and the loop when it is due. The transaction that is open at the end goes on with the next call.
 * 0; -1: one cannot be run, and this is logged, or the server is to stop. An error that a command answers is logged,
 * and is no reason to stop. */
int loader_run(struct loader *l, const struct aof_record *records, size_t count);
void loader_drop_transaction(struct loader *l); /* the open one does not count */
void loader_select(struct loader *l, int db);
int loader_db(const struct loader *l);

#endif
