/* Keys in messages. */
#ifndef SLIPSTREAM_RDB_PRINTABLE_H
#define SLIPSTREAM_RDB_PRINTABLE_H

#include "server/base/bytes.h"

/* As much of a string as a line bears, without what a terminal would obey. */
static inline const char *rdb_printable(struct bytes string, char out[64])
{
    size_t len = string.len < 63 ? string.len : 63;
    for (size_t i = 0; i < len; i++) out[i] = string.ptr[i] >= ' ' && string.ptr[i] < 0x7f ? (char)string.ptr[i] : '?';
    out[len] = '\0';
    return out;
}

#endif
