/* See file_window.h. Any process. */
#include "server/base/file_window.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "server/base/alloc.h"

/* A block: many records, and still in the cache when they are looked at. */
#define WINDOW_BYTES ((size_t)256 * 1024)

void file_window_init(struct file_window *w)
{
    *w = (struct file_window){.data = mem_alloc(WINDOW_BYTES), .capacity = WINDOW_BYTES};
}

void file_window_free(struct file_window *w)
{
    mem_free(w->data);
    *w = (struct file_window){0};
}

void file_window_restart(struct file_window *w)
{
    w->start = w->end = 0;
}

static int grow(struct file_window *w, uint64_t capacity)
{
    uint8_t *larger = capacity <= SIZE_MAX ? mem_try_alloc((size_t)capacity) : NULL;
    if (!larger) {
        errno = ENOMEM;
        return -1;
    }
    memcpy(larger, w->data + w->start, w->end - w->start);
    mem_free(w->data);
    *w = (struct file_window){larger, (size_t)capacity, 0, w->end - w->start};
    return 0;
}

static int make_room(struct file_window *w, uint64_t wanted)
{
    if (w->capacity < wanted) return grow(w, wanted);
    if (w->start == 0) return 0;
    memmove(w->data, w->data + w->start, w->end - w->start);
    w->end -= w->start;
    w->start = 0;
    return 0;
}

int file_window_fill(struct file_window *w, int fd, uint64_t wanted)
{
    if (make_room(w, wanted) != 0) return -1;
    while (w->end < wanted) {
        ssize_t got = read(fd, w->data + w->end, w->capacity - w->end);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) errno = ENODATA;
        if (got <= 0) return -1;
        w->end += (size_t)got;
    }
    return 0;
}
