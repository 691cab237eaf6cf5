/* See write_behind.h. Server process: the thread that owns the struct, and the worker that writes. */
#include "server/base/write_behind.h"

#include "server/base/alloc.h"
#include "server/base/bytes.h"
#include "server/base/file.h"
#include "server/base/workers.h"

#include <errno.h>
#include <fcntl.h>

#define PART_BYTES  ((size_t)256 * 1024)
#define BEGIN_BYTES ((uint64_t)4 * 1024 * 1024) /* dirty at most, as far as it is up to us */

struct write_behind_part {
    struct worker_job job; /* first: the worker hands back this address */
    struct write_behind *w;
    size_t len;
    uint8_t data[PART_BYTES];
};

static void begin_early(struct write_behind *w)
{
    if (!w->to_last || w->written_bytes - w->begun_bytes < BEGIN_BYTES) return;
    /* Only a hint: what goes wrong here is told by fsync. */
    sync_file_range(w->fd, (off64_t)w->begun_bytes, (off64_t)(w->written_bytes - w->begun_bytes),
                    SYNC_FILE_RANGE_WRITE);
    w->begun_bytes = w->written_bytes;
}

static void run(struct worker_job *job)
{
    struct write_behind_part *part = (struct write_behind_part *)job;
    struct write_behind *w = part->w;
    size_t len = part->len;
    bool good = atomic_load(&w->error) == 0;
    if (good && file_write_all(w->fd, part->data, len) != 0) {
        int none = 0;
        atomic_compare_exchange_strong(&w->error, &none, errno);
        good = false;
    }
    mem_free(part);
    if (good) {
        w->written_bytes += len;
        begin_early(w);
    }
    atomic_fetch_sub(&w->behind_bytes, len);
}

void write_behind_init(struct write_behind *w, int fd, bool to_last)
{
    *w = (struct write_behind){.fd = fd, .to_last = to_last};
}

static struct write_behind_part *new_part(struct write_behind *w)
{
    struct write_behind_part *part = mem_alloc(sizeof *part);
    part->job = (struct worker_job){.run = run};
    part->w = w;
    part->len = 0;
    return part;
}

void write_behind_append(struct write_behind *w, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len) {
        if (!w->filling) w->filling = new_part(w);
        struct write_behind_part *part = w->filling;
        size_t n = len < PART_BYTES - part->len ? len : PART_BYTES - part->len;
        memcpy(part->data + part->len, at, n);
        part->len += n;
        at += n;
        len -= n;
        if (part->len == PART_BYTES) write_behind_flush(w);
    }
}

void write_behind_flush(struct write_behind *w)
{
    struct write_behind_part *part = w->filling;
    if (!part) return;
    w->filling = NULL;
    atomic_fetch_add(&w->behind_bytes, part->len);
    workers_submit(WORKER_WRITE, &part->job);
}

void write_behind_drop(struct write_behind *w)
{
    int none = 0;
    atomic_compare_exchange_strong(&w->error, &none, ECANCELED);
    mem_free(w->filling);
    w->filling = NULL;
}

size_t write_behind_bytes(const struct write_behind *w)
{
    return atomic_load(&w->behind_bytes);
}

int write_behind_error(const struct write_behind *w)
{
    return atomic_load(&w->error);
}
