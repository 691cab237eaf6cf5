/* Files written by a worker: a pipe is a disk that takes nothing as long as nobody reads it. */
#include "server/base/alloc.h"
#include "server/base/workers.h"
#include "server/base/write_behind.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

TestSuite(write_behind, .timeout = 60);

#define SOME_BYTES  ((size_t)3 * 1000 * 1000)
#define PIECE_BYTES 7777

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 2654435761u >> 13);
}

static void append(struct write_behind *w)
{
    uint8_t piece[PIECE_BYTES];
    for (size_t at = 0; at < SOME_BYTES;) {
        size_t n = SOME_BYTES - at < sizeof piece ? SOME_BYTES - at : sizeof piece;
        for (size_t i = 0; i < n; i++) piece[i] = byte_at(at + i);
        write_behind_append(w, piece, n);
        at += n;
    }
    write_behind_flush(w);
}

static size_t read_and_compare(int fd)
{
    uint8_t part[65536];
    size_t at = 0;
    for (ssize_t got; at < SOME_BYTES && (got = read(fd, part, sizeof part)) > 0; at += (size_t)got)
        for (size_t i = 0; i < (size_t)got; i++) cr_assert_eq(part[i], byte_at(at + i), "byte %zu", at + i);
    return at;
}

Test(write_behind, who_appends_does_not_wait_and_all_of_it_comes)
{
    int ends[2];
    struct write_behind w;
    cr_assert_geq(workers_start(), 0);
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    write_behind_init(&w, ends[1], true);
    append(&w);
    cr_assert_gt(write_behind_bytes(&w), 0);
    cr_assert_eq(read_and_compare(ends[0]), SOME_BYTES);
    workers_drain(WORKER_WRITE);
    cr_assert_eq(write_behind_bytes(&w), 0);
    cr_assert_eq(write_behind_error(&w), 0);
}

Test(write_behind, an_error_is_told_and_ends_it)
{
    struct write_behind w;
    cr_assert_geq(workers_start(), 0);
    write_behind_init(&w, open("/dev/full", O_WRONLY | O_CLOEXEC), false);
    append(&w);
    workers_drain(WORKER_WRITE);
    cr_assert_eq(write_behind_bytes(&w), 0);
    cr_assert_eq(write_behind_error(&w), ENOSPC);
    cr_assert_eq(w.written_bytes, 0);
}

Test(write_behind, what_is_dropped_is_not_written)
{
    int ends[2];
    struct write_behind w;
    uint8_t part[65536];
    cr_assert_geq(workers_start(), 0);
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    write_behind_init(&w, ends[1], false);
    append(&w);
    write_behind_append(&w, "tail", 4);
    write_behind_drop(&w);
    cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    size_t got = 0;
    for (ssize_t n; workers_pending(WORKER_WRITE);)
        if ((n = read(ends[0], part, sizeof part)) > 0) got += (size_t)n;
    for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;) got += (size_t)n;
    cr_assert_leq(got, (size_t)256 * 1024, "the part that was being written, and no other");
    cr_assert_eq(write_behind_bytes(&w), 0);
}
