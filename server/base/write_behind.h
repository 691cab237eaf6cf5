/* A file that is written from its beginning to its end by a worker: who has the bytes never waits for the disk.
 *
 * They are copied, some hundred kilobytes become one job of WORKER_WRITE, and jobs run in order: a job that is
 * submitted there after write_behind_flush() finds everything written, and a last one frees what holds the struct. */
#ifndef SLIPSTREAM_BASE_WRITE_BEHIND_H
#define SLIPSTREAM_BASE_WRITE_BEHIND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct write_behind_part;

struct write_behind {
    int fd;
    bool to_last;                      /* the disk is told to begin early, so that an fsync has less to do */
    struct write_behind_part *filling; /* NULL: none */
    _Atomic size_t behind_bytes;
    _Atomic int error;
    uint64_t written_bytes, begun_bytes; /* the worker's: handed to the kernel, and of these told to the disk */
};

void write_behind_init(struct write_behind *w, int fd, bool to_last); /* fd stays the caller's */
void write_behind_append(struct write_behind *w, const void *data, size_t len);
void write_behind_flush(struct write_behind *w); /* what has been appended so far is on its way */
void write_behind_drop(struct write_behind *w);  /* nothing more is written, but what is being written just now */

size_t write_behind_bytes(const struct write_behind *w); /* on their way, and not yet with the kernel */
int write_behind_error(const struct write_behind *w);    /* an errno: nothing is written any more; 0: all is well */

#endif
