/* What one write takes to the file: runs of the ring as they lie, and annotations between them. Journal process;
 * pure. */
#ifndef SLIPSTREAM_AOF_JOURNAL_BATCH_H
#define SLIPSTREAM_AOF_JOURNAL_BATCH_H

#include "server/base/bytes.h"

#include <sys/uio.h>

#define BATCH_RUNS        128
#define BATCH_BYTES       (1024 * 1024) /* past it a batch is full; a run may lead beyond */
#define BATCH_NOTES_BYTES (16 * 1024)

struct batch {
    struct iovec runs[BATCH_RUNS];
    int count;
    size_t bytes;
    size_t notes_bytes;
    char notes[BATCH_NOTES_BYTES]; /* text of our own */
};

static inline void batch_clear(struct batch *b)
{
    b->count = 0;
    b->bytes = b->notes_bytes = 0;
}

/* Bytes that stay where they are; what follows the last run at once becomes part of it. There is room: the batch is not
 * full. */
static inline void batch_add(struct batch *b, const uint8_t *data, size_t len)
{
    struct iovec *next = &b->runs[b->count];
    b->bytes += len;
    if (b->count > 0 && (const uint8_t *)next[-1].iov_base + next[-1].iov_len == data) {
        next[-1].iov_len += len;
        return;
    }
    b->count++;
    *next = (struct iovec){(void *)(uintptr_t)data, len};
}

bool batch_is_full(const struct batch *b);
/* Where a note of at most AOF_NOTE_MAX_BYTES, or a head, can be written; then batch_note() adds it. */
char *batch_note_room(struct batch *b);
void batch_note(struct batch *b, size_t len);
/* Of what has not been written yet, from `skip` bytes on. Returns the runs that are left, moved to the front. */
void batch_skip(struct batch *b, size_t skip);

#endif
