/* Pipelined requests, parsed ahead so that their keys can be fetched from memory together. Server process.
 *
 * parse and hash each first key -> prefetch the buckets -> prefetch the records -> the same for the elements that
 * commands name (a hash's field, a set's member), bucket and member -> the caller runs them in order. The memory's
 * latency is so paid once a batch. One batch serves all clients, another the master's stream. */
#ifndef SLIPSTREAM_CORE_REQUEST_BATCH_H
#define SLIPSTREAM_CORE_REQUEST_BATCH_H

#include "server/core/dispatch.h"
#include "server/resp/reader.h"

#define REQUEST_BATCH 16

struct request_batch {
    struct resp_request requests[REQUEST_BATCH];
    struct dispatch_request prepared[REQUEST_BATCH]; /* argc 0: an empty request, nothing to run */
    size_t bytes[REQUEST_BATCH];                     /* of input, each */
    size_t count;
};

void request_batch_init(struct request_batch *b);
/* Parses from input until the batch is full, the input is used up, or a request is incomplete or broken: the status of
 * the last attempt. `partial` is the caller's reader of an incomplete request: it carries its progress from call to
 * call. Slices in prepared[] point into input. */
enum resp_status request_batch_read(struct request_batch *b, struct core *core, struct session *session,
                                    struct resp_request *partial, const struct resp_limits *limits,
                                    const uint8_t *input, size_t len);

#endif
