/* Memory on its way out: what the loop has let go of and the worker thread is about to free. Server process.
 *
 * Whoever drops something large wraps it in a job and submits it here. Until the worker has come to it, the memory is
 * still counted by mem_used(), but it is as good as gone: who judges by memory, as eviction does, takes
 * free_aside_bytes() off first. */
#ifndef SLIPSTREAM_KEYSPACE_FREE_ASIDE_H
#define SLIPSTREAM_KEYSPACE_FREE_ASIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/workers.h"

#define FREE_ASIDE_HUGE_BYTES ((size_t)32 << 20) /* a block this large takes long to give back to the kernel */

struct free_job {
    struct worker_job job;             /* first: the worker hands back this address */
    void (*run)(struct free_job *job); /* frees what it stands for, and the job; on the worker's thread */
    size_t objects;                    /* what INFO counts: values, or the keys of a flushed database */
    size_t bytes;                      /* about how much goes, as mem_used() counts; 0: not known */
};

void free_aside_submit(struct free_job *j);
bool free_aside_possible(void); /* false in programs without workers: there, free at once */

/* mem_free(), by the worker where that takes long. */
void free_aside_memory(void *memory);

size_t free_aside_bytes(void);      /* of what was submitted, still to be freed */
size_t free_aside_take_freed(void); /* objects freed since the last call */

#endif
