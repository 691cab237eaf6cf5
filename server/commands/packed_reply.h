/* Elements of packed structures as bulk strings; an integer never becomes text before it stands in the reply. */
#ifndef SLIPSTREAM_COMMANDS_PACKED_REPLY_H
#define SLIPSTREAM_COMMANDS_PACKED_REPLY_H

#include "server/data/packed.h"
#include "server/resp/writer.h"

static inline void reply_packed(struct reply *r, const struct packed_value *value)
{
    if (value->ptr)
        reply_bulk(r, bytes_make(value->ptr, value->len));
    else
        reply_bulk_integer(r, value->integer);
}

#endif
