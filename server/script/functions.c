/* The dataset's function libraries. Server process. */
#include "server/script/functions.h"

#include "rdb/function_payload.h"
#include "server/base/alloc.h"

#include <stdio.h>

/* A file or a master brings what has run in time elsewhere; only what would never end has to be stopped. */
#define TRUSTED_TIMEOUT_MS 60000

static struct function_set *set_of(struct script_engine *engine, struct libraries *l, char error[LIBRARY_ERROR_BYTES])
{
    if (!l->functions) l->functions = function_set_new(engine);
    if (!l->functions) snprintf(error, LIBRARY_ERROR_BYTES, "no memory for a virtual machine");
    return l->functions;
}

static int refuse_name(struct bytes name, char error[LIBRARY_ERROR_BYTES])
{
    snprintf(error, LIBRARY_ERROR_BYTES, "Library '%.*s' already exists", (int)name.len, (const char *)name.ptr);
    return -1;
}

int functions_load(struct script_engine *engine, struct libraries *l, struct bytes source, bool replace,
                   int64_t timeout_ms, const struct function_library **loaded, char error[LIBRARY_ERROR_BYTES])
{
    struct function_set *set = set_of(engine, l, error);
    struct function_library *library = set ? function_library_read(source, error) : NULL;
    if (!library) return -1;
    bool taken = !replace && function_set_library(set, library->name);
    if (taken) refuse_name(library->name, error);
    if (!taken && function_library_run(set, library, timeout_ms, error) == 0 &&
        function_set_join(set, l, &library, 1, replace, error) == 0) {
        if (loaded) *loaded = library;
        return 0;
    }
    function_library_free(set, library);
    return -1;
}

/* --- the keyspace's host --- */

static int add(void *context, struct libraries *l, struct bytes source, char error[LIBRARY_ERROR_BYTES])
{
    return functions_load(context, l, source, l->meeting == DATASET_MERGES, TRUSTED_TIMEOUT_MS, NULL, error);
}

struct library_host functions_host(struct script_engine *engine)
{
    return (struct library_host){
        .context = engine, .add = add, .release = function_set_free, .measure = function_set_measure};
}

/* --- FUNCTION RESTORE --- */

struct restore {
    struct function_set *set;
    struct function_library **staged;
    size_t count;
    int64_t timeout_ms;
};

static bool is_staged(const struct restore *r, struct bytes name)
{
    for (size_t i = 0; i < r->count; i++)
        if (bytes_equal(r->staged[i]->name, name)) return true;
    return false;
}

static int stage(void *context, struct bytes source, char error[LIBRARY_ERROR_BYTES])
{
    struct restore *r = context;
    struct function_library *library = function_library_read(source, error);
    if (!library) return -1;
    bool taken = is_staged(r, library->name);
    if (taken) refuse_name(library->name, error);
    if (taken || function_library_run(r->set, library, r->timeout_ms, error)) {
        function_library_free(r->set, library);
        return -1;
    }
    r->staged = mem_realloc(r->staged, (r->count + 1) * sizeof *r->staged);
    r->staged[r->count++] = library;
    return 0;
}

static int restore_into(struct script_engine *engine, struct libraries *l, struct bytes payload, bool replace,
                        int64_t timeout_ms, char error[LIBRARY_ERROR_BYTES])
{
    struct restore r = {.set = set_of(engine, l, error), .timeout_ms = timeout_ms};
    if (!r.set) return -1;
    int status = rdb_read_libraries(payload, stage, &r, error);
    if (status == 0) status = function_set_join(r.set, l, r.staged, r.count, replace, error);
    if (status)
        for (size_t i = 0; i < r.count; i++) function_library_free(r.set, r.staged[i]);
    mem_free(r.staged);
    return status;
}

int functions_restore(struct script_engine *engine, struct libraries *l, struct bytes payload,
                      enum functions_restore policy, int64_t timeout_ms, char error[LIBRARY_ERROR_BYTES])
{
    if (policy != RESTORE_FLUSH) return restore_into(engine, l, payload, policy == RESTORE_REPLACE, timeout_ms, error);
    struct libraries fresh = {.host = l->host};
    int status = restore_into(engine, &fresh, payload, false, timeout_ms, error);
    if (status == 0) libraries_exchange(l, &fresh);
    libraries_clear(&fresh);
    return status;
}

/* --- the rest --- */

int functions_delete(struct libraries *l, struct bytes name)
{
    struct function_library *library = l->functions ? function_set_library(l->functions, name) : NULL;
    if (!library) return -1;
    function_set_remove(l->functions, l, library);
    return 0;
}

void functions_flush(struct libraries *l, bool aside)
{
    struct function_set *set = l->functions;
    l->functions = NULL;
    libraries_clear(l);
    if (set && aside)
        function_set_free_aside(set);
    else if (set)
        function_set_free(set);
}

const struct function *functions_find(const struct libraries *l, struct bytes name)
{
    return l->functions ? function_set_find(l->functions, name) : NULL;
}
