/* Giving up a value that has been built from an RDB's bytes and is not wanted: a payload that turned out broken, a key
 * that has expired, a file that is only verified. Server process and redis-check-rdb.
 *
 * Such a value may be of any size, and so is freed by the worker where there is one. How many allocations it consists
 * of only its type knows; the bytes it was read from bound that well enough. */
#include "rdb/type.h"

#include "server/base/alloc.h"
#include "server/keyspace/free_aside.h"

#define LARGE_BYTES 4096 /* read; packed as they are, they may have become a hundred times as many */

struct drop_job {
    struct free_job job; /* first: the worker hands back this address */
    struct rdb_builder builder;
};

static void run_drop_job(struct free_job *job)
{
    struct drop_job *d = (struct drop_job *)job;
    d->builder.loader->abort(&d->builder);
    mem_free(d);
}

void rdb_builder_drop(struct rdb_builder *builder, uint64_t read_bytes, size_t memory_bytes)
{
    const struct rdb_type_loader *loader = builder->loader;
    if (loader && loader->abort) {
        if (read_bytes <= LARGE_BYTES || !free_aside_possible()) {
            loader->abort(builder);
        } else {
            struct drop_job *d = mem_alloc(sizeof *d);
            *d = (struct drop_job){
                .job = {.run = run_drop_job, .objects = 1, .bytes = memory_bytes},
                .builder = *builder,
            };
            free_aside_submit(&d->job);
        }
    }
    builder->loader = NULL;
}
