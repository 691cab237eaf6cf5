/* What the tests of the replication backlog share: a writer and a reader of one, and a stream whose every byte is a
 * function of its offset, so that any reader can check any byte. */
#ifndef SLIPSTREAM_TEST_BACKLOG_BENCH_H
#define SLIPSTREAM_TEST_BACKLOG_BENCH_H

#include "server/base/bytes.h"
#include "shm/backlog.h"
#include "shm/reader.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define NO_LIMIT 0

struct bench {
    char name[64];
    struct backlog *b;
    struct reader *r;
    int doomed_slot, dooms;
    uint64_t doom_lag, doom_limit;
};

static inline uint8_t byte_at(uint64_t offset)
{
    uint64_t x = offset * UINT64_C(0x9e3779b97f4a7c15);
    return (uint8_t)(x >> 56 ^ x >> 32);
}

static inline void append(struct bench *t, size_t len)
{
    uint8_t *data = malloc(len + 1);
    uint64_t offset = backlog_end(t->b);
    for (size_t i = 0; i < len; i++) data[i] = byte_at(offset + i);
    backlog_append(t->b, data, len);
    free(data);
    cr_assert_eq(backlog_end(t->b), offset + len);
}

static inline void append_published(struct bench *t, size_t len)
{
    append(t, len);
    backlog_publish(t->b);
}

static inline bool is_stream(struct bytes run, uint64_t offset)
{
    for (size_t i = 0; i < run.len; i++)
        if (run.ptr[i] != byte_at(offset + i)) return false;
    return true;
}

static inline void on_doom(void *context, int slot, uint64_t lag, uint64_t limit)
{
    struct bench *t = context;
    t->doomed_slot = slot;
    t->doom_lag = lag;
    t->doom_limit = limit;
    t->dooms++;
}

static inline void on_ring(void *context, int ring, int fd, uint64_t size)
{
    struct bench *t = context;
    cr_assert_eq(reader_add_ring(t->r, (uint64_t)ring, dup(fd), size), 0);
}

static inline void set_up_named(struct bench *t, const char *name, uint64_t first, uint64_t rest, uint64_t hard)
{
    *t = (struct bench){.doomed_slot = -1};
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->b = backlog_open(t->name, first, &(struct backlog_limits){.rest_bytes = rest, .hard_bytes = hard},
                        &(struct backlog_events){.context = t, .peer_doomed = on_doom});
    cr_assert_not_null(t->b, "%s", strerror(errno));
    t->r = reader_attach(SHM_LINK, dup(backlog_control_fd(t->b)), dup(backlog_bell(t->b, SHM_LINK)),
                         dup(backlog_server_bell(t->b)));
    cr_assert_not_null(t->r);
    backlog_on_ring(t->b, SHM_LINK, on_ring, t);
}

static inline void set_up(struct bench *t, uint64_t first, uint64_t rest, uint64_t hard)
{
    char name[64];
    snprintf(name, sizeof(name), "/slipstream-test-%d", getpid());
    set_up_named(t, name, first, rest, hard);
}

static inline void tear_down(struct bench *t)
{
    reader_detach(t->r);
    backlog_close(t->b);
}

/* Reads and checks everything a peer can get; returns where it stands then. */
static inline uint64_t read_all(struct bench *t, int slot, uint64_t offset)
{
    struct bytes run;
    while ((run = reader_next_run(t->r, slot, offset, 1 << 20)).len > 0) {
        cr_assert(is_stream(run, offset), "wrong bytes after offset %llu", (unsigned long long)offset);
        offset += run.len;
        reader_peer_moved(t->r, slot, offset);
    }
    return offset;
}

/* Claimed by the writer, opened by the link. */
static inline int follow_from(struct bench *t, uint64_t from)
{
    int slot = backlog_peer_claim(t->b, from);
    cr_assert_geq(slot, 0);
    reader_peer_open(t->r, slot);
    return slot;
}

static inline bool bell_rings(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static inline void limit_file_size(rlim_t bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = bytes, .rlim_max = RLIM_INFINITY}), 0);
}

#endif
