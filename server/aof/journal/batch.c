/* Gathering what one write takes. Journal process; pure. */
#include "server/aof/journal/batch.h"

#include "server/aof/annotation.h"
#include "server/aof/journal/messages.h"

/* Of a command: timestamp, head, position, and the command's own run. */
#define RUNS_KEPT        4
#define NOTES_KEPT_BYTES (JOURNAL_HEAD_MAX_BYTES + 3 * AOF_NOTE_MAX_BYTES)

bool batch_is_full(const struct batch *b)
{
    return b->bytes >= BATCH_BYTES || b->count > BATCH_RUNS - RUNS_KEPT ||
           b->notes_bytes > BATCH_NOTES_BYTES - NOTES_KEPT_BYTES;
}

char *batch_note_room(struct batch *b)
{
    return b->notes + b->notes_bytes;
}

void batch_note(struct batch *b, size_t len)
{
    batch_add(b, (const uint8_t *)batch_note_room(b), len);
    b->notes_bytes += len;
}

void batch_skip(struct batch *b, size_t skip)
{
    int first = 0;
    b->bytes -= skip;
    for (; first < b->count && skip >= b->runs[first].iov_len; first++) skip -= b->runs[first].iov_len;
    b->count -= first;
    memmove(b->runs, b->runs + first, (size_t)b->count * sizeof(b->runs[0]));
    if (b->count == 0) return;
    b->runs[0].iov_base = (char *)b->runs[0].iov_base + skip;
    b->runs[0].iov_len -= skip;
}
