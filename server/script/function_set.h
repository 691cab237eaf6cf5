/* Function libraries that have been compiled: libraries by name, functions by name whatever its case. Server process.
 *
 * A set has a virtual machine to itself, apart from EVAL's. What is loaded is first compiled beside the set, then joins
 * it: together with whatever else came with it, or nothing changes at all. */
#ifndef SLIPSTREAM_SCRIPT_FUNCTION_SET_H
#define SLIPSTREAM_SCRIPT_FUNCTION_SET_H

#include "server/base/map.h"
#include "server/base/workers.h"
#include "server/keyspace/libraries.h"
#include "server/script/engine.h"

struct function_library;

struct function {
    struct bytes name, description; /* owned; without a description its ptr is NULL */
    struct function_library *library;
    struct script script; /* as the engine runs it */
};

struct function_library {
    struct bytes name;   /* owned */
    struct bytes source; /* owned until the library has joined, then by struct libraries */
    struct bytes code;   /* of the source: what is run */
    struct function **functions;
    size_t count;
    size_t bytes; /* of memory, once it has joined */
    bool joined;
};

struct function_set {
    struct script_engine *engine;
    struct script_vm *vm;
    struct map libraries;               /* struct function_library *, those that have joined */
    struct function_library **in_order; /* the same, as they came */
    struct map functions;               /* struct function *, their names in lower case */
    const struct function *last;        /* found: likely the next one, too */
    size_t bytes;                       /* of those that have joined */
    int environment;                    /* in the state's registry: what the libraries' code has for globals */
    int load_globals;                   /* what it finds there while a library is being loaded */
    struct function_library *loading;
    int share; /* in the registry: see share_names(); LUA_NOREF: none */
    struct worker_job freeing;
};

/* NULL: no memory for a virtual machine. */
struct function_set *function_set_new(struct script_engine *engine);
void function_set_free(struct function_set *set);
void function_set_free_aside(struct function_set *set); /* by a worker */
void function_set_measure(const struct function_set *set, struct function_memory *out);

struct function_library *function_set_library(const struct function_set *set, struct bytes name); /* NULL: none */
const struct function *function_set_find(struct function_set *set, struct bytes name);

/* Reads the source's first line, so that its name is known, and copies it. NULL: `error` says why. */
struct function_library *function_library_read(struct bytes source, char error[LIBRARY_ERROR_BYTES]);
/* Compiles its code, beside the set, and runs it once, for at most timeout_ms. 0, or -1 and `error`. */
int function_library_run(struct function_set *set, struct function_library *library, int64_t timeout_ms,
                         char error[LIBRARY_ERROR_BYTES]);
/* One that has not joined, or does so no more. */
void function_library_free(struct function_set *set, struct function_library *library);
bool function_name_good(struct bytes name); /* of a library or a function */
#define FUNCTION_NAME_ERROR                                                                                            \
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"

/* All of `count` libraries, whose names differ, join; with `replace` they take the place of those of their names, which
 * leave. Sources move to or from `l`. 0, or -1: nothing has changed, and `error` says why. */
int function_set_join(struct function_set *set, struct libraries *l, struct function_library *const *libraries,
                      size_t count, bool replace, char error[LIBRARY_ERROR_BYTES]);
void function_set_remove(struct function_set *set, struct libraries *l, struct function_library *library);

#endif
