/* What the server's memory is used for: the figures behind INFO memory, MEMORY STATS and MEMORY DOCTOR. */
#ifndef SLIPSTREAM_CORE_INFO_MEMORY_USAGE_H
#define SLIPSTREAM_CORE_INFO_MEMORY_USAGE_H

#include "server/base/alloc.h"
#include "server/base/outq.h"
#include "server/core/core.h"

/* Bytes. Records live in a store that is mapped, not allocated, and the replication backlog in shared memory; both are
 * added to the allocator's figures, so that ratios between them keep the meaning they have where everything is
 * allocated. */
struct memory_usage {
    size_t used, peak, resident, at_start;
    size_t clients, tables, overhead, dataset;
    size_t replica_clients, shared, for_replicas; /* the latter of the shared: beyond the backlog's own size */
    size_t keys;                                  /* how many there are */
    struct mem_allocator_info allocator;
};

struct memory_usage memory_usage(const struct core *core);

/* 0 where there is nothing to compare with. */
static inline double memory_ratio(size_t a, size_t b)
{
    return b ? (double)a / (double)b : 0;
}

/* MEMORY DOCTOR. `clients`: how many share usage->clients, `replicas` usage->for_replicas. */
void memory_doctor(const struct memory_usage *u, size_t clients, size_t replicas, struct outq *out);

#endif
