/* Function libraries that have been compiled. Server process. */
#include "server/script/function_set.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/list.h"
#include "server/script/function_parts.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>

#define NAME_BYTES_HERE 128 /* of a name that is looked up without an allocation */

bool function_name_good(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum(name.ptr[i]) && name.ptr[i] != '_') return false;
    return name.len > 0;
}

/* --- life --- */

struct function_set *function_set_new(struct script_engine *engine)
{
    struct function_set *set = mem_calloc(1, sizeof *set);
    set->engine = engine;
    set->vm = script_engine_new_vm(engine);
    if (set->vm && function_sandbox_prepare(set) == 0) return set;
    function_set_free(set);
    return NULL;
}

static void free_library(struct function_library *library)
{
    for (size_t i = 0; i < library->count; i++) {
        mem_free((void *)library->functions[i]->name.ptr);
        mem_free((void *)library->functions[i]->description.ptr);
        mem_free(library->functions[i]);
    }
    mem_free(library->functions);
    mem_free((void *)library->name.ptr);
    if (!library->joined) mem_free((void *)library->source.ptr);
    mem_free(library);
}

void function_set_free(struct function_set *set)
{
    for (struct map_entry *e = map_next(&set->libraries, NULL); e; e = map_next(&set->libraries, e))
        free_library(e->value);
    map_clear(&set->libraries);
    map_clear(&set->functions);
    mem_free(set->in_order);
    if (set->vm) script_vm_free(set->vm);
    mem_free(set);
}

static void free_in_worker(struct worker_job *job)
{
    function_set_free(list_entry(job, struct function_set, freeing));
}

void function_set_free_aside(struct function_set *set)
{
    set->freeing = (struct worker_job){.run = free_in_worker};
    workers_submit(WORKER_FREE, &set->freeing);
}

static void forget_functions(lua_State *lua, void *arg)
{
    const struct function_library *library = arg;
    for (size_t i = 0; i < library->count; i++)
        luaL_unref(lua, LUA_REGISTRYINDEX, library->functions[i]->script.function);
}

void function_library_free(struct function_set *set, struct function_library *library)
{
    struct script_error error;
    script_vm_enter(set->vm, forget_functions, library, &error);
    script_vm_leave(set->vm);
    free_library(library);
}

/* --- looking up --- */

/* In `room`, or where that is too small in memory that the caller frees. */
static struct bytes lower_case(struct bytes name, uint8_t room[NAME_BYTES_HERE])
{
    uint8_t *lower = name.len <= NAME_BYTES_HERE ? room : mem_alloc(name.len);
    for (size_t i = 0; i < name.len; i++) lower[i] = byte_lower(name.ptr[i]);
    return bytes_make(lower, name.len);
}

static void lower_case_end(struct bytes lower, const uint8_t room[NAME_BYTES_HERE])
{
    if (lower.ptr != room) mem_free((void *)lower.ptr);
}

struct function_library *function_set_library(const struct function_set *set, struct bytes name)
{
    return map_get(&set->libraries, name);
}

const struct function *function_set_find(struct function_set *set, struct bytes name)
{
    if (likely(set->last && bytes_equal(set->last->name, name))) return set->last;
    uint8_t room[NAME_BYTES_HERE];
    struct bytes lower = lower_case(name, room);
    const struct function *f = map_get(&set->functions, lower);
    lower_case_end(lower, room);
    if (f) set->last = f;
    return f;
}

/* --- memory --- */

static size_t library_bytes(const struct function_library *library)
{
    size_t bytes = mem_size(library) + mem_size(library->name.ptr) + mem_size(library->source.ptr);
    if (library->functions) bytes += mem_size(library->functions);
    for (size_t i = 0; i < library->count; i++) {
        const struct function *f = library->functions[i];
        bytes += mem_size(f) + mem_size(f->name.ptr);
        if (f->description.ptr) bytes += mem_size(f->description.ptr);
    }
    return bytes;
}

/* --- joining and leaving --- */

static void set_function(struct function_set *set, struct function *f, bool there)
{
    uint8_t room[NAME_BYTES_HERE];
    struct bytes lower = lower_case(f->name, room);
    if (there)
        *map_slot(&set->functions, lower) = f;
    else
        map_remove(&set->functions, lower);
    lower_case_end(lower, room);
}

static int refuse(char error[LIBRARY_ERROR_BYTES], const char *what, struct bytes name)
{
    snprintf(error, LIBRARY_ERROR_BYTES, "%s %.*s already exists", what, (int)name.len, (const char *)name.ptr);
    return -1;
}

/* Whether a function of that name is there and stays, when all these have joined. */
static bool function_stays(struct function_set *set, struct bytes name, struct function_library *const *libraries,
                           size_t count, bool replace)
{
    const struct function *f = function_set_find(set, name);
    if (!f || !replace) return f;
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(libraries[i]->name, f->library->name)) return false;
    return true;
}

static bool has_function(const struct function_library *library, const char *name)
{
    for (size_t i = 0; i < library->count; i++)
        if (bytes_equal_nocase(library->functions[i]->name, name)) return true;
    return false;
}

/* Names hold no zero byte (function_name_good), and stand with one behind them. */
static int check_functions(struct function_set *set, struct function_library *const *libraries, size_t count,
                           size_t which, bool replace, char error[LIBRARY_ERROR_BYTES])
{
    const struct function_library *library = libraries[which];
    for (size_t i = 0; i < library->count; i++) {
        struct bytes name = library->functions[i]->name;
        if (function_stays(set, name, libraries, count, replace)) return refuse(error, "Function", name);
        for (size_t other = 0; other < which; other++)
            if (has_function(libraries[other], (const char *)name.ptr)) return refuse(error, "Function", name);
    }
    return 0;
}

int function_set_join(struct function_set *set, struct libraries *l, struct function_library *const *libraries,
                      size_t count, bool replace, char error[LIBRARY_ERROR_BYTES])
{
    for (size_t i = 0; i < count; i++) {
        if (!replace && map_get(&set->libraries, libraries[i]->name))
            return refuse(error, "Library", libraries[i]->name);
        if (check_functions(set, libraries, count, i, replace, error)) return -1;
    }
    for (size_t i = 0; i < count; i++) {
        struct function_library *old = map_get(&set->libraries, libraries[i]->name);
        if (old) function_set_remove(set, l, old);
    }
    for (size_t i = 0; i < count; i++) {
        struct function_library *library = libraries[i];
        *map_slot(&set->libraries, library->name) = library;
        set->in_order = mem_realloc(set->in_order, set->libraries.count * sizeof(struct function_library *));
        set->in_order[set->libraries.count - 1] = library;
        for (size_t f = 0; f < library->count; f++) set_function(set, library->functions[f], true);
        libraries_keep(l, library->source);
        set->bytes += library->bytes = library_bytes(library);
        library->joined = true;
    }
    return 0;
}

void function_set_remove(struct function_set *set, struct libraries *l, struct function_library *library)
{
    set->last = NULL;
    for (size_t i = 0; i < library->count; i++) set_function(set, library->functions[i], false);
    size_t at = 0, last = set->libraries.count - 1;
    while (set->in_order[at] != library) at++;
    memmove(set->in_order + at, set->in_order + at + 1, (last - at) * sizeof(struct function_library *));
    CHECK(map_remove(&set->libraries, library->name) == library);
    libraries_drop(l, library->source);
    set->bytes -= library->bytes;
    function_library_free(set, library);
}

void function_set_measure(const struct function_set *set, struct function_memory *out)
{
    *out = (struct function_memory){.libraries = set->libraries.count,
                                    .functions = set->functions.count,
                                    .vm_bytes = set->vm->bytes + set->vm->blocks.held_bytes};
    out->bytes = set->bytes + (set->libraries.capacity + set->functions.capacity) * sizeof(struct map_entry);
}
