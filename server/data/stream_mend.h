/* Rebuilds a stream's node whose listpack does not pass stream_node_validate(): for loaders that may not refuse it. */
#ifndef SLIPSTREAM_DATA_STREAM_MEND_H
#define SLIPSTREAM_DATA_STREAM_MEND_H

#include "server/data/stream.h"

struct stream_mended {
    uint8_t *listpack; /* a good one, the caller's; NULL: no entry is left */
    struct stream_id node_id;
    struct stream_node_facts facts;
};

/* Of a listpack that is framed. False: nothing of it can be read, or it is larger than any that a server makes. */
bool stream_node_mend(struct bytes listpack, struct stream_id node_id, struct stream_mended *out);

#endif
