/* What replication asks of the server process, answered by core/. */
#ifndef SLIPSTREAM_CORE_REPLICATION_HOST_H
#define SLIPSTREAM_CORE_REPLICATION_HOST_H

#include "repl/replication.h"
#include "server/core/dataset/propagate.h"

struct core;

struct replication_host replication_host_of(struct core *core);
struct replication_stats replication_stats_of(struct core *core);
struct propagation_sink replication_sink_of(struct core *core); /* every finished unit goes to the backlog */
struct keyspace_hooks keyspace_hooks_of(struct core *core); /* a key removed by time or pressure is propagated as DEL */

#endif
