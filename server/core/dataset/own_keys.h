/* Keys that clients of a writable replica wrote: no master will say when they expire, so the replica has to look.
 *
 * Noted is every key such a client changes; whether it has an expiry shows when it is looked at. A key that the master
 * writes later keeps its note, as in Redis: writable replicas are for data that the master does not have. The stream
 * that they pass on does not say it either: who follows them finds it in a snapshot of then. */
#ifndef SLIPSTREAM_CORE_DATASET_OWN_KEYS_H
#define SLIPSTREAM_CORE_DATASET_OWN_KEYS_H

#include "server/base/bytes.h"

#include <stdint.h>

struct core;
struct own_keys;

struct own_keys *own_keys_new(struct core *core);
void own_keys_listen(struct core *core); /* at the start, and when replica-read-only is another one */
/* Each tick: looks at some, removes those whose time has come, and forgets the ones without an expiry. */
void own_keys_expire(struct core *core, int64_t now_ms);
size_t own_keys_count(const struct own_keys *o);
void own_keys_forget_all(struct own_keys *o); /* another dataset, or another role */

#endif
