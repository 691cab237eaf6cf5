/* Between the file's strings and the elements of packed structures. */
#ifndef SLIPSTREAM_RDB_PACKED_STRING_H
#define SLIPSTREAM_RDB_PACKED_STRING_H

#include "rdb/decode.h"
#include "rdb/encode.h"
#include "server/data/packed.h"

static inline bool rdb_read_packed(struct rdb_cursor *in, struct packed_value *out)
{
    struct rdb_string string;
    if (!rdb_read_string(in, &string)) return false;
    *out = string.is_integer ? packed_integer(string.integer) : packed_from(string.bytes);
    return true;
}

static inline void rdb_put_packed(struct rdb_encoder *out, const struct packed_value *value)
{
    if (value->ptr)
        rdb_put_string(out, bytes_make(value->ptr, value->len));
    else
        rdb_put_integer(out, value->integer);
}

#endif
