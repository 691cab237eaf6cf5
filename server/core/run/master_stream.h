/* Applying the stream of our master: the same requests, the same dispatch, no answers. */
#ifndef SLIPSTREAM_CORE_RUN_MASTER_STREAM_H
#define SLIPSTREAM_CORE_RUN_MASTER_STREAM_H

#include "repl/replication.h"

#include <stddef.h>
#include <stdint.h>

struct core;
struct master_stream;
struct session;

struct master_stream *master_stream_new(struct core *core);
/* Runs the complete requests in data: struct replication_host says more. */
struct apply_result master_stream_apply(struct master_stream *m, const uint8_t *data, size_t len);
/* A new stream begins: a half-received transaction is forgotten; db -1 means none selected yet, else it is there. */
void master_stream_reset(struct master_stream *m, int db);
int master_stream_db(const struct master_stream *m);
/* The session that runs it, with an id of its own for each stream, and since when (monotonic). */
const struct session *master_stream_session(const struct master_stream *m, int64_t *since_ms);

#endif
