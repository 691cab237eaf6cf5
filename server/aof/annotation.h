/* What annotations of an append-only file say. Pure.
 *
 * With aof-timestamp-enabled the second of the commands that follow stands before them, when it is another one than
 * before: `#TS:1700000000` and CR LF. Redis passes over all others. */
#ifndef SLIPSTREAM_AOF_ANNOTATION_H
#define SLIPSTREAM_AOF_ANNOTATION_H

#include "server/base/bytes.h"

enum aof_timestamp { AOF_TIMESTAMP_NONE, AOF_TIMESTAMP_READ, AOF_TIMESTAMP_BAD };

/* annotation: the whole line. NONE: it is another one, and *seconds is as before. */
enum aof_timestamp aof_read_timestamp(struct bytes annotation, int64_t *seconds);

#endif
