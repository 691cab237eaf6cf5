/* A file that is read once, from its beginning to its end, through a window:
 * what is asked for stands there in one piece.
 *
 * The file is read, not mapped: one that is cut short meanwhile is an error to report here, and would be a SIGBUS
 * there. The descriptor stays the caller's, and so does judging what the file can hold before he asks for it: a damaged
 * length must not make us allocate what is not there. All zero is not a window. Any process. */
#ifndef SLIPSTREAM_BASE_FILE_WINDOW_H
#define SLIPSTREAM_BASE_FILE_WINDOW_H

#include "server/base/bytes.h"

struct file_window {
    uint8_t *data;
    size_t capacity, start, end; /* unread bytes stand in start..end */
};

void file_window_init(struct file_window *w);
void file_window_free(struct file_window *w);
/* What stands in it is forgotten: another file follows, or the descriptor has been moved. */
void file_window_restart(struct file_window *w);

/* The unread bytes that are there; they stay where they are until the next fill. */
static inline struct bytes file_window_unread(const struct file_window *w)
{
    return bytes_make(w->data + w->start, w->end - w->start);
}

static inline void file_window_consume(struct file_window *w, size_t len)
{
    w->start += len;
}

/* Makes at least `wanted` unread bytes stand in the window, by read(): 0, or -1 with errno (ENODATA: the file ends
 * before; ENOMEM). */
int file_window_fill(struct file_window *w, int fd, uint64_t wanted);

#endif
