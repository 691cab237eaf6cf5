/* Pipelined requests, parsed ahead so that their keys can be fetched from memory together. Server process.
 *
 *   parse            bytes to slices; nothing else is looked at
 *   look_up          the command and the hash of each first key, and the bucket where it stands
 *   fetch_records    what stands there
 *   fetch_elements   bucket and member of what commands name inside their key's value: a hash's field, a set's member
 *
 * Then the caller runs them in order. The memory's latency is so paid once a batch; and not at all where time passes
 * between these steps, because other clients' batches are run meanwhile (client_input.c). */
#ifndef SLIPSTREAM_CORE_RUN_REQUEST_BATCH_H
#define SLIPSTREAM_CORE_RUN_REQUEST_BATCH_H

#include "server/base/check.h"
#include "server/core/run/request.h"
#include "server/resp/reader.h"

struct core;
struct session;

#define REQUEST_BATCH 32

/* What running needs stands first, close together: a batch may come from another processor. */
struct request_batch {
    size_t count;
    enum resp_status status; /* of the last attempt to read one */
    bool records_fetched;
    bool has_large;     /* one of its requests needed more than the usual */
    struct bytes input; /* what it was read from */
    struct request_batch *next_free;
    struct request prepared[REQUEST_BATCH]; /* argc 0: an empty request, nothing to run */
    struct resp_request requests[REQUEST_BATCH];
};

void request_batch_init(struct request_batch *b);
/* Parses from input until `most` requests (at most REQUEST_BATCH) are read, the input is used up, or a request is
 * incomplete or broken. `partial` is the caller's reader of an incomplete request: it carries its progress from call to
 * call. Slices in prepared[] point into input. Pure: the batch, the partial request and the input are all it knows. */
void request_batch_parse(struct request_batch *b, struct resp_request *partial, const struct resp_limits *limits,
                         struct bytes input, size_t most);
/* It has run, and may lie for a while: what its requests needed above the usual is given back. */
void request_batch_drop_excess(struct request_batch *b);
static inline void request_batch_rest(struct request_batch *b)
{
    if (unlikely(b->has_large)) request_batch_drop_excess(b);
}
/* What each parsed request asks for, by the session's database. */
void request_batch_look_up(struct request_batch *b, struct core *core, struct session *session);
/* The same by an I/O thread, which knows no session: neither memory of the dataset is asked for, nor is it noted what
 * the session's last command was. *last is the caller's memo of that, NULL at first. */
void request_batch_resolve(struct request_batch *b, const struct command_table *commands, struct command_entry **last);
void request_batch_fetch_buckets(const struct request_batch *b, const struct session *session);
void request_batch_fetch_records(struct request_batch *b, const struct session *session);
/* Last, for the first request that runs may move what later ones look into. */
void request_batch_fetch_elements(const struct request_batch *b, const struct session *session);

#endif
