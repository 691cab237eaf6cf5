/* See dataset_adopt.h. Server process.
 *
 * The bytes lie in rings, whose edges go through commands: they are copied into a window, as a file's would be. Each
 * had been published, so they end behind a whole command; one that does not is damage, and nothing is made of it. */
#include "server/core/run/dataset_adopt.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/core/core.h"
#include "server/core/dataset/persistence.h"
#include "server/core/run/loader.h"

#define WINDOW_BYTES ((uint64_t)256 * 1024)

struct applying {
    struct core *core;
    struct loader *loader;
    const struct inheritance *what;
    struct aof_scan *scan;
    uint8_t *window;
    uint64_t capacity, start, len; /* unread bytes stand in start..start + len of the window */
    uint64_t next;                 /* offset of the stream behind the window */
    uint64_t commands;
};

/* Makes `wanted` unread bytes stand in the window, and more where there is room. False: there are not so many. */
static bool fill(struct applying *a, uint64_t wanted)
{
    if (wanted > a->len + (a->what->end - a->next)) return false;
    if (wanted > a->capacity) {
        a->capacity = wanted * 2;
        uint8_t *larger = mem_alloc(a->capacity);
        memcpy(larger, a->window + a->start, a->len);
        mem_free(a->window);
        a->window = larger;
    } else {
        memmove(a->window, a->window + a->start, a->len);
    }
    a->start = 0;
    while (a->len < a->capacity && a->next < a->what->end) {
        struct bytes run = replication_inherited_bytes(a->core->replication, a->next);
        if (run.len > a->capacity - a->len) run.len = (size_t)(a->capacity - a->len);
        if (run.len == 0) return false;
        memcpy(a->window + a->len, run.ptr, run.len);
        a->len += run.len;
        a->next += run.len;
    }
    return a->len >= wanted;
}

static uint64_t applied(const struct applying *a)
{
    return aof_scan_valid_offset(a->scan) + a->what->from;
}

static int apply_records(struct applying *a)
{
    for (;;) {
        size_t consumed;
        enum aof_scan_status status = aof_scan_feed(a->scan, a->window + a->start, (size_t)a->len, &consumed);
        a->start += consumed;
        a->len -= consumed;
        switch (status) {
        case AOF_SCAN_ANNOTATION: break;
        case AOF_SCAN_COMMAND:
            a->commands++;
            if (loader_run(a->loader, aof_scan_record(a->scan), 1) != 0) return -1;
            break;
        case AOF_SCAN_MORE:
            loading_progress(a->core, applied(a) - a->what->from);
            if (fill(a, aof_scan_wanted(a->scan))) break;
            return -1;
        case AOF_SCAN_END: return 0;
        case AOF_SCAN_CUT:
        case AOF_SCAN_BAD: return -1;
        }
    }
}

static int apply(struct applying *a)
{
    struct aof_scan_options options = {.size = a->what->end - a->what->from, .arguments = true};
    a->next = a->what->from;
    a->scan = aof_scan_new(&options);
    a->window = mem_alloc(WINDOW_BYTES);
    a->capacity = WINDOW_BYTES;
    loading_begin(a->core, options.size);
    int result = apply_records(a);
    loading_end(a->core, result == 0);
    if (result != 0)
        log_warning(
            "The stream that a killed server (pid %d) left in shared memory could be applied up to offset %llu of "
            "%llu alone. What it says may be lost with adopt-backlog no, which starts without it",
            a->what->pid, (unsigned long long)applied(a) - 1, (unsigned long long)a->what->end - 1);
    aof_scan_free(a->scan);
    mem_free(a->window);
    return result;
}

static void tell(const struct applying *a, int64_t us)
{
    const struct inheritance *w = a->what;
    log_notice(
        "Adopted the stream that a killed server (pid %d) left in shared memory: %llu commands, %llu bytes behind "
        "offset %llu, applied in %.3f seconds. Its history %s goes on behind offset %llu",
        w->pid, (unsigned long long)a->commands, (unsigned long long)(w->end - w->from),
        (unsigned long long)w->from - 1, (double)us / 1e6, replication_history(a->core->replication)->id,
        (unsigned long long)w->end - 1);
}

enum dataset_adoption dataset_adopt(struct core *core, const struct rdb_aux *file)
{
    struct inheritance what;
    if (!replication_has_predecessor(core->replication)) return DATASET_NOT_ADOPTED;
    if (!replication_inherit_begin(core->replication, file, &what)) return DATASET_NOT_ADOPTED;
    int64_t started_us = clock_monotonic_us();
    struct applying a = {.core = core, .what = &what, .loader = loader_new(core, "what a killed server left")};
    loader_select(a.loader, what.db);
    int result = apply(&a);
    int db = loader_db(a.loader);
    loader_free(a.loader);
    if (result != 0 || replication_inherit_end(core->replication, db) != 0) return DATASET_SPOILED;
    tell(&a, clock_monotonic_us() - started_us);
    return DATASET_ADOPTED;
}
