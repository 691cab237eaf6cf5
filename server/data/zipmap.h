/* Zipmap: what Redis 2 kept small hashes in. Read only, for files of that age.
 *
 *   bytes   count(1) pair* FF          count 254 or more: unknown
 *   pair    length field length free(1) value spare     spare: `free` unused bytes
 *   length  1 byte below 254, else FE +4, little-endian
 *
 * Every pair is checked before it is given out, so hostile bytes need no validation first. */
#ifndef SLIPSTREAM_DATA_ZIPMAP_H
#define SLIPSTREAM_DATA_ZIPMAP_H

#include "server/base/bytes.h"

/* True when these bytes are one whole zipmap. visit is given each pair; false from it ends the walk with false. */
bool zipmap_walk(struct bytes bytes, bool (*visit)(void *context, struct bytes field, struct bytes value),
                 void *context);

#endif
