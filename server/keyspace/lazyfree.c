/* Lazy free. Server process: the loop hands over, the worker thread frees.
 *
 * What is handed over is unreachable for everybody else, so no lock is needed: a large value is memory of the heap, and
 * a flushed database goes whole, table and store together. */
#include "server/keyspace/lazyfree.h"

#include "server/base/alloc.h"
#include "server/keyspace/free_aside.h"

/* Efforts are allocations. Freeing less than what is large is cheaper than handing it over. What is huge is handed over
 * even when nobody has asked for that: freeing it takes so long that other clients would notice. */
#define LARGE_EFFORT       64
#define HUGE_EFFORT        4096
#define LARGE_STRING_BYTES ((size_t)1 << 20) /* above, the allocator may give memory back to the kernel */
#define KEY_SAMPLES        64                /* keys measured of a database */

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
    if (orphan_type(o) == TYPE_STRING)
        return mem_size(o->memory) >= (asked ? LARGE_STRING_BYTES : FREE_ASIDE_HUGE_BYTES);
    size_t effort = value_ops(orphan_type(o))->free_effort(o->memory, orphan_encoding(o));
    return effort > (asked ? LARGE_EFFORT : HUGE_EFFORT);
}

static size_t orphan_bytes(const struct orphan *o)
{
    if (orphan_type(o) == TYPE_STRING) return mem_size(o->memory);
    return value_ops(orphan_type(o))->memory(o->memory, orphan_encoding(o), VALUE_MEMORY_SAMPLES);
}

struct orphan_job {
    struct free_job job; /* first: the worker hands back this address */
    struct orphan orphan;
};

static void run_orphan_job(struct free_job *job)
{
    struct orphan_job *o = (struct orphan_job *)job;
    orphan_free_now(&o->orphan);
    mem_free(o);
}

void orphan_free(const struct orphan *o, bool aside)
{
    if (!o->memory) return;
    if (!goes_aside(o, aside)) {
        orphan_free_now(o);
        return;
    }
    struct orphan_job *job = mem_alloc(sizeof(*job));
    *job = (struct orphan_job){.job = {.run = run_orphan_job, .objects = 1, .bytes = orphan_bytes(o)}, .orphan = *o};
    free_aside_submit(&job->job);
}

/* --- a whole database --- */

struct table_job {
    struct free_job job; /* first: the worker hands back this address */
    struct table table;
};

static void free_key_outside(const struct record *r)
{
    if (r->flags & RECORD_KEY_OUTSIDE) mem_free(record_outside(record_key_field(r)).ptr);
}

static int free_outside(void *arg, struct record *r)
{
    (void)arg;
    struct orphan o = record_orphan(r);
    free_key_outside(r);
    orphan_free(&o, false);
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

static void free_table(struct table *t, int (*free_record)(void *arg, struct record *r))
{
    struct store *store = t->store;
    table_walk(t, free_record, NULL);
    table_drop(t);
    store_free(store);
}

static void run_table_job(struct free_job *job)
{
    struct table_job *j = (struct table_job *)job;
    free_table(&j->table, free_outside_now);
    mem_free(j);
}

/* The store's part is known, what values own outside is estimated from some of them: too little is harmless, for the
 * count is right again as soon as they are gone. */
static size_t table_bytes(const struct table *t)
{
    struct random_state random;
    size_t outside = 0;
    random_seed(&random, t->count);
    for (int i = 0; i < KEY_SAMPLES && t->count > 0; i++) {
        const struct record *r = store_at(t->store, table_random(t, &random, false));
        outside += record_memory(r) - store_block_size(record_size(r));
    }
    return t->store->used + table_memory(t) - table_blocks(t) + outside / KEY_SAMPLES * t->count;
}

void lazyfree_table(const struct table *t, enum lazyfree_how how)
{
    struct table copy = *t;
    if (!copy.store) return;
    bool small = copy.count <= (how == FREE_QUICKLY ? HUGE_EFFORT : 0) && copy.store->used < FREE_ASIDE_HUGE_BYTES;
    if (how == FREE_HERE || small) {
        free_table(&copy, how == FREE_HERE ? free_outside_now : free_outside);
        return;
    }
    struct table_job *j = mem_alloc(sizeof(*j));
    *j = (struct table_job){
        .job = {.run = run_table_job, .objects = copy.count, .bytes = table_bytes(t)},
        .table = copy,
    };
    free_aside_submit(&j->job);
}
