/* Memory on its way out, counted. The loop submits and asks, the worker frees and reports; all that they share are a
 * few atomic words. Server process, on both threads.
 *
 * How far the worker has come with a job is told by its own share of the heap's count, which falls with everything it
 * frees. So a value of a gigabyte is at no moment counted twice, as used and as still to go, nor not at all. A reader
 * that comes between two of the worker's stores sees less memory in use than there is: somebody evicts one command
 * later. */
#include "server/keyspace/free_aside.h"

#include <stdatomic.h>

#include "server/base/alloc.h"
#include "server/keyspace/keyspace.h"

static atomic_size_t pending, freed; /* objects */
static atomic_size_t promised;       /* bytes of all jobs that are not done */

/* The job that runs. */
static atomic_size_t running_bytes;
static _Atomic ptrdiff_t counter_at_start;
static const struct mem_counter *_Atomic counter;

size_t keyspace_lazyfree_pending(void)
{
    return atomic_load(&pending);
}

size_t free_aside_take_freed(void)
{
    return atomic_exchange(&freed, 0);
}

bool free_aside_possible(void)
{
    return workers_are_there();
}

size_t free_aside_bytes(void)
{
    size_t bytes = atomic_load(&promised);
    if (bytes == 0) return 0;
    size_t running = atomic_load(&running_bytes);
    if (running == 0) return bytes;
    ptrdiff_t gone = atomic_load(&counter_at_start) - mem_counter_bytes(atomic_load(&counter));
    if (gone <= 0) return bytes;
    size_t done = (size_t)gone < running ? (size_t)gone : running;
    return done < bytes ? bytes - done : 0;
}

static void run(struct worker_job *job)
{
    struct free_job *j = (struct free_job *)job;
    size_t objects = j->objects, bytes = j->bytes;
    atomic_store(&counter, mem_my_counter());
    atomic_store(&counter_at_start, mem_counter_bytes(mem_my_counter()));
    atomic_store(&running_bytes, bytes);
    j->run(j);
    atomic_store(&running_bytes, 0);
    atomic_fetch_sub(&promised, bytes);
    atomic_fetch_sub(&pending, objects);
    atomic_fetch_add(&freed, objects);
}

void free_aside_submit(struct free_job *j)
{
    j->job = (struct worker_job){.run = run};
    atomic_fetch_add(&pending, j->objects);
    atomic_fetch_add(&promised, j->bytes);
    workers_submit(WORKER_FREE, &j->job);
}

/* --- plain memory --- */

struct memory_job {
    struct free_job job; /* first: the worker hands back this address */
    void *memory;
};

static void run_memory_job(struct free_job *job)
{
    struct memory_job *m = (struct memory_job *)job;
    mem_free(m->memory);
    mem_free(m);
}

void free_aside_memory(void *memory)
{
    if (!memory) return;
    size_t bytes = mem_size(memory);
    if (bytes < FREE_ASIDE_HUGE_BYTES || !free_aside_possible()) {
        mem_free(memory);
        return;
    }
    struct memory_job *m = mem_alloc(sizeof(*m));
    *m = (struct memory_job){.job = {.run = run_memory_job, .objects = 1, .bytes = bytes}, .memory = memory};
    free_aside_submit(&m->job);
}
