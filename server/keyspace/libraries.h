/* The sources of function libraries: what a dataset has besides its keys. Server process; the snapshot child reads them.
 *
 * Nothing here runs or understands them. An RDB's libraries are kept as they came and written into the next one, so that
 * none is lost on its way through us. A flush of the keys leaves them alone, and no digest counts them. */
#ifndef SLIPSTREAM_KEYSPACE_LIBRARIES_H
#define SLIPSTREAM_KEYSPACE_LIBRARIES_H

#include "server/base/bytes.h"

/* All zero: none. In the order in which they came. */
struct libraries {
    struct bytes *sources; /* each owned */
    size_t count, room;
};

/* Copies the source. 0, or -1: no memory, and nothing has changed. */
int libraries_add(struct libraries *l, struct bytes source);
void libraries_clear(struct libraries *l);

#endif
