/* The sources of function libraries. Server process. */
#include "server/keyspace/libraries.h"

#include "server/base/alloc.h"

#include <stdio.h>

#define ROOM_LEAST 8

void libraries_keep(struct libraries *l, struct bytes source)
{
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : ROOM_LEAST;
        l->sources = mem_realloc(l->sources, l->room * sizeof *l->sources);
    }
    l->sources[l->count++] = source;
}

void libraries_drop(struct libraries *l, struct bytes source)
{
    for (size_t i = 0; i < l->count; i++) {
        if (!bytes_equal(l->sources[i], source)) continue;
        mem_free((void *)l->sources[i].ptr);
        memmove(l->sources + i, l->sources + i + 1, (--l->count - i) * sizeof *l->sources);
        return;
    }
}

int libraries_add(struct libraries *l, struct bytes source, char error[LIBRARY_ERROR_BYTES])
{
    if (l->host) return l->host->add(l->host->context, l, source, error);
    uint8_t *copy = mem_try_alloc(source.len + 1);
    if (!copy) {
        snprintf(error, LIBRARY_ERROR_BYTES, "no memory for a function library of %zu bytes", source.len);
        return -1;
    }
    memcpy(copy, source.ptr, source.len);
    libraries_keep(l, bytes_make(copy, source.len));
    return 0;
}

void libraries_clear(struct libraries *l)
{
    if (l->functions) l->host->release(l->functions);
    for (size_t i = 0; i < l->count; i++) mem_free((void *)l->sources[i].ptr);
    mem_free(l->sources);
    *l = (struct libraries){.host = l->host, .meeting = l->meeting};
}

void libraries_begin_reading(struct libraries *l)
{
    if (l->meeting == DATASET_GIVES_WAY) libraries_clear(l);
}

void libraries_measure(const struct libraries *l, struct function_memory *out)
{
    *out = (struct function_memory){0};
    if (l->functions) l->host->measure(l->functions, out);
}

void libraries_exchange(struct libraries *a, struct libraries *b)
{
    struct libraries was = *a;
    *a = *b;
    *b = was;
}
