/* The snapshot that came from our master becomes our dataset's file: it is our data and the place in our master's
 * history, so that who is started again asks for what is missing alone.
 *
 * Server process. A worker makes it durable and gives it the name, unless it is withdrawn before: a file of our own
 * that is begun later is the newer one. */
#ifndef SLIPSTREAM_CORE_DATASET_KEPT_SNAPSHOT_H
#define SLIPSTREAM_CORE_DATASET_KEPT_SNAPSHOT_H

#include "repl/received_file.h"

struct kept_snapshot;

/* file: owned from now on; name: in the working directory of now. NULL: logged. */
struct kept_snapshot *kept_snapshot_begin(struct received_file *file, const char *name);
/* Until it has the name, or it is known that it gets none. NULL: at once. */
void kept_snapshot_await(const struct kept_snapshot *k);
/* It gets the name no more; where that is just happening it is waited for, a rename and the fsync of the directory.
 * Frees it; NULL: nothing. */
void kept_snapshot_withdraw(struct kept_snapshot *k);

#endif
