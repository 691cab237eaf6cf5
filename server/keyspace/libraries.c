/* The sources of function libraries. Server process. */
#include "server/keyspace/libraries.h"

#include "server/base/alloc.h"

#define ROOM_LEAST 8

int libraries_add(struct libraries *l, struct bytes source)
{
    uint8_t *copy = mem_try_alloc(source.len + 1);
    if (!copy) return -1;
    memcpy(copy, source.ptr, source.len);
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : ROOM_LEAST;
        l->sources = mem_realloc(l->sources, l->room * sizeof *l->sources);
    }
    l->sources[l->count++] = bytes_make(copy, source.len);
    return 0;
}

void libraries_clear(struct libraries *l)
{
    for (size_t i = 0; i < l->count; i++) mem_free((void *)l->sources[i].ptr);
    mem_free(l->sources);
    *l = (struct libraries){0};
}
