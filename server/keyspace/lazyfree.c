/* Lazy free. Server process: the loop hands over, the worker thread frees.
 *
 * What is handed over is unreachable for everybody else, so no lock is needed: a large value is memory of the heap, and
 * a flushed dataset goes whole, tables and store together. The records of one database among several cannot go that
 * way, for they share their store with the others: database_flush() frees them in place, and only their large values
 * aside. */
#include "server/keyspace/lazyfree.h"

#include <stdatomic.h>

#include "server/base/alloc.h"
#include "server/base/workers.h"
#include "server/keyspace/keyspace.h"

/* Efforts are allocations. Freeing less than what is large is cheaper than handing it over. What is huge is handed over
 * even when nobody has asked for that: freeing it takes so long that other clients would notice. */
#define LARGE_EFFORT       64
#define HUGE_EFFORT        4096
#define LARGE_STRING_BYTES ((size_t)1 << 20) /* above, the allocator may give memory back to the kernel */
#define HUGE_STRING_BYTES  ((size_t)32 << 20)

static atomic_size_t pending, freed; /* objects: values, or the keys of a flushed dataset */

size_t keyspace_lazyfree_pending(void)
{
    return atomic_load(&pending);
}

size_t lazyfree_take_freed(void)
{
    return atomic_exchange(&freed, 0);
}

static void note_freed(size_t objects)
{
    atomic_fetch_sub(&pending, objects);
    atomic_fetch_add(&freed, objects);
}

/* --- one value --- */

static enum value_type orphan_type(const struct orphan *o)
{
    return (enum value_type)(o->kind & 15);
}

static enum value_encoding orphan_encoding(const struct orphan *o)
{
    return (enum value_encoding)(o->kind >> 4);
}

struct orphan record_orphan(const struct record *r)
{
    struct orphan o = {.kind = r->kind};
    if (record_type(r) != TYPE_STRING)
        o.memory = record_value_is_inside(r) ? NULL : record_object(r);
    else if (r->flags & RECORD_VALUE_OUTSIDE)
        o.memory = record_outside(record_value_field(r)).ptr;
    return o;
}

static void orphan_free_now(const struct orphan *o)
{
    if (orphan_type(o) == TYPE_STRING)
        mem_free(o->memory);
    else
        value_ops(orphan_type(o))->free(o->memory, orphan_encoding(o));
}

static bool goes_aside(const struct orphan *o, bool asked)
{
    if (orphan_type(o) == TYPE_STRING) return mem_size(o->memory) >= (asked ? LARGE_STRING_BYTES : HUGE_STRING_BYTES);
    size_t effort = value_ops(orphan_type(o))->free_effort(o->memory, orphan_encoding(o));
    return effort > (asked ? LARGE_EFFORT : HUGE_EFFORT);
}

struct orphan_job {
    struct worker_job job; /* first: the worker hands back this address */
    struct orphan orphan;
};

static void run_orphan_job(struct worker_job *job)
{
    struct orphan_job *o = (struct orphan_job *)job;
    orphan_free_now(&o->orphan);
    mem_free(o);
    note_freed(1);
}

void orphan_free(const struct orphan *o, bool aside)
{
    if (!o->memory) return;
    if (!goes_aside(o, aside)) {
        orphan_free_now(o);
        return;
    }
    struct orphan_job *job = mem_alloc(sizeof(*job));
    *job = (struct orphan_job){.job.run = run_orphan_job, .orphan = *o};
    atomic_fetch_add(&pending, 1);
    workers_submit(WORKER_FREE, &job->job);
}

static void free_key_outside(const struct record *r)
{
    if (r->flags & RECORD_KEY_OUTSIDE) mem_free(record_outside(record_key_field(r)).ptr);
}

void record_free_outside(const struct record *r, bool aside)
{
    struct orphan o = record_orphan(r);
    free_key_outside(r);
    orphan_free(&o, aside);
}

/* --- a whole store --- */

struct store_job {
    struct worker_job job; /* first: the worker hands back this address */
    struct store *store;
    size_t keys;
    int count;
    struct table tables[];
};

static int free_outside(void *arg, struct record *r)
{
    (void)arg;
    record_free_outside(r, false);
    return 0;
}

static int free_outside_now(void *arg, struct record *r)
{
    (void)arg;
    struct orphan o = record_orphan(r);
    free_key_outside(r);
    if (o.memory) orphan_free_now(&o);
    return 0;
}

static void free_store(struct store_job *j, int (*free_record)(void *arg, struct record *r))
{
    for (int i = 0; i < j->count; i++) {
        table_walk(&j->tables[i], free_record, NULL);
        table_drop(&j->tables[i]);
    }
    store_free(j->store);
    mem_free(j);
}

static void run_store_job(struct worker_job *job)
{
    struct store_job *j = (struct store_job *)job;
    size_t keys = j->keys;
    free_store(j, free_outside_now);
    note_freed(keys);
}

void lazyfree_store(struct store *store, const struct table *tables, int count, enum lazyfree_how how)
{
    struct store_job *j = mem_alloc(sizeof(*j) + (size_t)count * sizeof(*tables));
    *j = (struct store_job){.job.run = run_store_job, .store = store, .count = count};
    memcpy(j->tables, tables, (size_t)count * sizeof(*tables));
    for (int i = 0; i < count; i++) j->keys += tables[i].count;
    if (how == FREE_HERE || (how == FREE_QUICKLY && j->keys <= HUGE_EFFORT)) {
        free_store(j, how == FREE_HERE ? free_outside_now : free_outside);
        return;
    }
    atomic_fetch_add(&pending, j->keys);
    workers_submit(WORKER_FREE, &j->job);
}
