/* Ziplist: what Redis kept small values in before listpacks. Read only, for files and payloads of older versions.
 *
 *   bytes     total(4) tail(4) count(2) element* FF      little-endian; tail: offset of the last element
 *   count     65535: unknown, the elements have to be walked
 *   element   previous head data
 *   previous  length of the element before: 1 byte below 254, else FE +4, little-endian
 *   head      00xxxxxx              string of xxxxxx bytes
 *             01xxxxxx +1           string, length of 14 bits, high bits first
 *             80 +4                 string, length of 32 bits, high byte first
 *             C0 +2  D0 +4  E0 +8  F0 +3  FE +1     integer of so many bytes, signed, little-endian
 *             F1 .. FD              integer 0 .. 12, in the head itself
 *
 * Every element is checked before it is given out, so hostile bytes need no validation first. */
#ifndef SLIPSTREAM_DATA_ZIPLIST_H
#define SLIPSTREAM_DATA_ZIPLIST_H

#include "server/data/packed.h"

/* True when these bytes are one whole ziplist. visit is given each element in turn, as a listpack would hold it; false
 * from it ends the walk with false. A ziplist that turns out to be broken has shown its good elements by then. */
bool ziplist_walk(struct bytes bytes, bool (*visit)(void *context, struct packed_value value), void *context);

#endif
