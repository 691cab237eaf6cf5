/* The replication backlog: what the writer appended is what a reader finds, however the rings wrap, grow and shrink;
 * and a byte that a peer may still be sending never changes. Every byte of the stream is a function of its offset, so
 * any reader can check any byte. */
#include "server/base/alloc.h"
#include "server/base/bytes.h"
#include "server/base/clock.h"
#include "server/base/random.h"
#include "shm/backlog.h"
#include "shm/control.h"
#include "shm/owner.h"
#include "shm/reader.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_LIMIT      0
#define WAIT_BOUND_MS 5000

struct bench {
    char name[64];
    struct backlog *b;
    struct reader *r;
    int doomed_slot, dooms;
    uint64_t doom_lag, doom_limit;
};

static uint8_t byte_at(uint64_t offset)
{
    uint64_t x = offset * UINT64_C(0x9e3779b97f4a7c15);
    return (uint8_t)(x >> 56 ^ x >> 32);
}

static void append(struct bench *t, size_t len)
{
    uint8_t *data = malloc(len + 1);
    uint64_t offset = backlog_end(t->b);
    for (size_t i = 0; i < len; i++) data[i] = byte_at(offset + i);
    backlog_append(t->b, data, len);
    free(data);
    cr_assert_eq(backlog_end(t->b), offset + len);
}

static bool is_stream(struct bytes run, uint64_t offset)
{
    for (size_t i = 0; i < run.len; i++)
        if (run.ptr[i] != byte_at(offset + i)) return false;
    return true;
}

static void on_doom(void *context, int slot, uint64_t lag, uint64_t limit)
{
    struct bench *t = context;
    t->doomed_slot = slot;
    t->doom_lag = lag;
    t->doom_limit = limit;
    t->dooms++;
}

static void on_ring(void *context, int ring, int fd, uint64_t size)
{
    struct bench *t = context;
    cr_assert_eq(reader_add_ring(t->r, (uint64_t)ring, dup(fd), size), 0);
}

static void set_up_named(struct bench *t, const char *name, uint64_t first, uint64_t rest, uint64_t hard)
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

static void set_up(struct bench *t, uint64_t first, uint64_t rest, uint64_t hard)
{
    char name[64];
    snprintf(name, sizeof(name), "/slipstream-test-%d", getpid());
    set_up_named(t, name, first, rest, hard);
}

static void tear_down(struct bench *t)
{
    reader_detach(t->r);
    backlog_close(t->b);
}

/* Reads and checks everything a peer can get; returns where it stands then. */
static uint64_t read_all(struct bench *t, int slot, uint64_t offset)
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
static int follow_from(struct bench *t, uint64_t from)
{
    int slot = backlog_peer_claim(t->b, from);
    cr_assert_geq(slot, 0);
    reader_peer_open(t->r, slot);
    return slot;
}

static bool bell_rings(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void wait_until_calm(struct bench *t)
{
    for (int turn = 0; turn < 10; turn++) backlog_cron(t->b);
}

Test(backlog, window_is_the_last_rest_bytes)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    cr_assert_eq(backlog_first(t.b), 1);
    append(&t, 999);
    cr_assert_eq(backlog_first(t.b), 1);
    append(&t, 1);
    cr_assert_eq(backlog_first(t.b), 1, "the window holds exactly its size");
    append(&t, 1);
    cr_assert_eq(backlog_first(t.b), 2, "one byte more pushes one byte out");
    append(&t, 5000);
    cr_assert_eq(backlog_first(t.b), backlog_end(t.b) - 1000, "of more than a ring only the tail remains");
    cr_assert_eq(backlog_memory(t.b), 1000, "nobody listens: nothing grows");
    backlog_publish(t.b);
    int slot = follow_from(&t, backlog_first(t.b));
    cr_assert_eq(read_all(&t, slot, backlog_first(t.b)), backlog_end(t.b));
    tear_down(&t);
}

Test(backlog, wraps_at_every_alignment)
{
    enum { SIZE = 67 };
    for (uint64_t start = 1; start <= SIZE; start++) {
        struct bench t;
        set_up(&t, start, SIZE, NO_LIMIT);
        int slot = follow_from(&t, start);
        uint64_t offset = start;
        for (size_t len = 1; len <= SIZE; len++) {
            append(&t, len);
            backlog_publish(t.b);
            offset = read_all(&t, slot, offset);
            cr_assert_eq(offset, backlog_end(t.b));
        }
        cr_assert_eq(backlog_memory(t.b), SIZE, "a peer that keeps up makes nothing grow");
        tear_down(&t);
    }
}

Test(backlog, bytes_are_seen_only_once_published)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int slot = follow_from(&t, 1);
    append(&t, 10);
    cr_assert_eq(reader_next_run(t.r, slot, 1, 100).len, 0);
    backlog_publish(t.b);
    cr_assert_eq(reader_next_run(t.r, slot, 1, 100).len, 10);
    tear_down(&t);
}

Test(backlog, one_command_larger_than_the_ring)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int slot = follow_from(&t, 1);
    append(&t, 300);
    append(&t, 3 * 1024 * 1024 + 7);
    append(&t, 300);
    backlog_publish(t.b);
    cr_assert_eq(read_all(&t, slot, 1), backlog_end(t.b), "a listening peer gets every byte of it");
    tear_down(&t);
}

Test(backlog, grows_while_a_peer_lags_and_shrinks_again)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int slow = follow_from(&t, 1), fast = follow_from(&t, 1);
    uint64_t at = 1;
    for (int i = 0; i < 1000; i++) {
        append(&t, 97);
        backlog_publish(t.b);
        at = read_all(&t, fast, at);
    }
    cr_assert_eq(at, backlog_end(t.b));
    cr_assert_eq(backlog_first(t.b), 1, "everything the slow peer needs is kept");
    cr_assert_geq(backlog_memory(t.b), 97000);
    cr_assert_eq(read_all(&t, slow, 1), backlog_end(t.b));
    wait_until_calm(&t);
    append(&t, 999);
    wait_until_calm(&t);
    cr_assert_gt(backlog_memory(t.b), 1000, "the window needs one byte of the old ring yet");
    append(&t, 1);
    backlog_cron(t.b);
    cr_assert_eq(backlog_memory(t.b), 1000);
    cr_assert_eq(backlog_first(t.b), backlog_end(t.b) - 1000);
    tear_down(&t);
}

Test(backlog, resizing_keeps_the_window)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    append(&t, 2500);
    backlog_set_limits(t.b, &(struct backlog_limits){.rest_bytes = 5000});
    cr_assert_eq(backlog_first(t.b), 1501, "growing loses nothing");
    append(&t, 4999);
    cr_assert_eq(backlog_first(t.b), 1501);
    append(&t, 1);
    backlog_cron(t.b);
    cr_assert_eq(backlog_first(t.b), backlog_end(t.b) - 5000);
    backlog_set_limits(t.b, &(struct backlog_limits){.rest_bytes = 300});
    append(&t, 300);
    backlog_cron(t.b);
    cr_assert_eq(backlog_memory(t.b), 300);
    cr_assert_eq(backlog_first(t.b), backlog_end(t.b) - 300);
    backlog_publish(t.b);
    int slot = follow_from(&t, backlog_first(t.b));
    cr_assert_eq(read_all(&t, slot, backlog_first(t.b)), backlog_end(t.b));
    tear_down(&t);
}

Test(backlog, the_window_has_no_gap_however_a_new_ring_fills)
{
    for (size_t step = 1; step <= 400; step += 7) {
        struct bench t;
        set_up(&t, 1, 1000, NO_LIMIT);
        append(&t, 2500);
        backlog_set_limits(t.b, &(struct backlog_limits){.rest_bytes = 300});
        for (int i = 0; i < 150; i++) {
            append(&t, step);
            backlog_publish(t.b);
            uint64_t first = backlog_first(t.b);
            cr_assert_geq(backlog_end(t.b) - first, 300);
            int slot = follow_from(&t, first);
            cr_assert_eq(read_all(&t, slot, first), backlog_end(t.b));
            reader_peer_let_go(t.r, slot);
            backlog_peer_free(t.b, slot);
            if (i % 50 == 49) backlog_cron(t.b);
        }
        tear_down(&t);
    }
}

/* Nobody claims a slot in between: the writer meets no limit that would make it look at its rings. */
Test(backlog, the_window_has_no_gap_when_nobody_looks)
{
    for (size_t step = 1; step <= 700; step += 3) {
        struct bench t;
        set_up(&t, 1, 1000, NO_LIMIT);
        append(&t, 2500);
        backlog_set_limits(t.b, &(struct backlog_limits){.rest_bytes = 300});
        for (uint64_t i = 0; i < 700 / step + 1; i++) append(&t, step);
        backlog_publish(t.b);
        uint64_t first = backlog_first(t.b);
        cr_assert_geq(backlog_end(t.b) - first, 300);
        int slot = follow_from(&t, first);
        cr_assert_eq(read_all(&t, slot, first), backlog_end(t.b));
        tear_down(&t);
    }
}

Test(backlog, past_the_hard_limit_the_slowest_peer_is_doomed)
{
    struct bench t;
    set_up(&t, 1, 1000, 10000);
    int slow = follow_from(&t, 1), fast = follow_from(&t, 1);
    append(&t, 10000);
    backlog_publish(t.b);
    cr_assert_eq(t.dooms, 0, "exactly at the limit is not past it");
    struct bytes in_flight = reader_next_run(t.r, slow, 1, 1 << 20);
    cr_assert_gt(in_flight.len, 0);
    uint64_t at = read_all(&t, fast, 1);
    append(&t, 1);
    cr_assert_eq(t.dooms, 1);
    cr_assert_eq(t.doomed_slot, slow);
    cr_assert_eq(t.doom_lag, 10001);
    cr_assert_eq(t.doom_limit, 10000);
    cr_assert(bell_rings(reader_bell(t.r)), "the link is told at once");
    cr_assert(reader_peer_is_doomed(t.r, slow));
    for (int i = 0; i < 5000; i++) {
        append(&t, 100);
        backlog_publish(t.b);
        at = read_all(&t, fast, at);
    }
    cr_assert(is_stream(in_flight, 1), "what a doomed peer may still be sending stays untouched");
    cr_assert_eq(reader_next_run(t.r, slow, 1, 100).len, 0, "a doomed peer is given nothing more");
    cr_assert_leq(backlog_memory(t.b), 80 * 1024, "a link that does not let go cannot make it grow");
    cr_assert_eq(t.dooms, 1);
    reader_peer_let_go(t.r, slow);
    backlog_peer_free(t.b, slow);
    wait_until_calm(&t);
    append(&t, 1000);
    backlog_cron(t.b);
    cr_assert_eq(backlog_memory(t.b), 1000);
    tear_down(&t);
}

Test(backlog, a_hard_limit_below_the_rest_size_means_the_rest_size)
{
    struct bench t;
    set_up(&t, 1, 1000, 10);
    follow_from(&t, 1);
    append(&t, 1000);
    cr_assert_eq(t.dooms, 0);
    append(&t, 1);
    cr_assert_eq(t.dooms, 1);
    cr_assert_eq(t.doom_limit, 1000);
    tear_down(&t);
}

Test(backlog, one_command_past_the_hard_limit_dooms_even_who_kept_up)
{
    struct bench t;
    set_up(&t, 1, 1000, 10000);
    follow_from(&t, 1);
    append(&t, 20000);
    cr_assert_eq(t.dooms, 1);
    backlog_publish(t.b);
    cr_assert_eq(backlog_first(t.b), backlog_end(t.b) - 1000);
    int slot = follow_from(&t, backlog_first(t.b));
    cr_assert_eq(read_all(&t, slot, backlog_first(t.b)), backlog_end(t.b));
    tear_down(&t);
}

Test(backlog, a_new_history_starts_while_doomed_peers_leave)
{
    struct bench t;
    set_up(&t, 5000, 1000, NO_LIMIT);
    int old = follow_from(&t, 5000);
    append(&t, 800);
    backlog_publish(t.b);
    struct bytes in_flight = reader_next_run(t.r, old, 5000, 1 << 20);
    backlog_peer_doom(t.b, old);
    for (int round = 0; round < 3; round++) {
        backlog_restart(t.b, 4990);
        cr_assert_eq(backlog_first(t.b), 4990);
        cr_assert_eq(backlog_end(t.b), 4990);
        int fresh = follow_from(&t, 4990);
        append(&t, 700);
        append(&t, 700);
        backlog_publish(t.b);
        cr_assert_eq(read_all(&t, fresh, 4990), backlog_end(t.b));
        cr_assert(is_stream(in_flight, 5000), "the old history's bytes are not overwritten");
        reader_peer_let_go(t.r, fresh);
        backlog_peer_free(t.b, fresh);
    }
    tear_down(&t);
}

/* --- memory --- */

Test(backlog, without_shared_memory_names_a_memfd_serves)
{
    struct bench t;
    set_up_named(&t, "/no/such/place", 1, 1000, NO_LIMIT);
    int slot = follow_from(&t, 1);
    append(&t, 5000);
    backlog_publish(t.b);
    cr_assert_eq(read_all(&t, slot, 1), backlog_end(t.b));
    tear_down(&t);
}

Test(backlog, no_memory_at_all_is_an_error)
{
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    char name[64];
    snprintf(name, sizeof(name), "/slipstream-test-%d", getpid());
    cr_assert_null(backlog_open(name, 1, &(struct backlog_limits){.rest_bytes = 1000}, &(struct backlog_events){0}));
    cr_assert_eq(errno, EFBIG);
    cr_assert_eq(shm_open(name, O_RDONLY, 0), -1, "nothing is left behind");
}

static void limit_file_size(rlim_t bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = bytes, .rlim_max = RLIM_INFINITY}), 0);
}

/* No ring can be had, and the link has stopped: the writer neither waits nor overwrites nor gives up. */
Test(backlog, when_growth_fails_the_stream_goes_on_without_its_peers, .timeout = 60)
{
    struct bench t;
    set_up(&t, 1, 100 * 1000, NO_LIMIT);
    int slow = follow_from(&t, 1), fast = follow_from(&t, 1);
    append(&t, 60 * 1000);
    backlog_publish(t.b);
    reader_peer_moved(t.r, fast, 60 * 1000);
    struct bytes sending = reader_next_run(t.r, slow, 1, 60 * 1000);
    limit_file_size(4096);
    append(&t, 60 * 1000);
    cr_assert_eq(t.dooms, 2);
    cr_assert_eq(t.doom_limit, 0);
    cr_assert_not(backlog_is_shared(t.b));
    for (int i = 0; i < 5; i++) append(&t, 60 * 1000);
    backlog_publish(t.b);
    backlog_cron(t.b);
    cr_assert(is_stream(sending, 1), "what the link may still be sending is untouched");
    cr_assert_not(backlog_is_shared(t.b));
    limit_file_size(RLIM_INFINITY);
    reader_peer_let_go(t.r, slow);
    reader_peer_let_go(t.r, fast);
    backlog_peer_free(t.b, slow);
    backlog_peer_free(t.b, fast);
    backlog_cron(t.b);
    cr_assert(backlog_is_shared(t.b));
    cr_assert_eq(backlog_first(t.b), backlog_end(t.b) - 100 * 1000, "what was written meanwhile is in the window");
    uint64_t from = backlog_first(t.b);
    int slot = follow_from(&t, from);
    append(&t, 10 * 1000);
    backlog_publish(t.b);
    cr_assert_eq(read_all(&t, slot, from), backlog_end(t.b));
    tear_down(&t);
}

/* --- the journal --- */

static int journal_from(struct bench *t, uint64_t from)
{
    int slot = backlog_journal_claim(t->b, from);
    cr_assert_geq(slot, 0);
    reader_peer_open(t->r, slot);
    return slot;
}

Test(backlog, the_journal_is_never_doomed_and_writes_wait_for_it)
{
    struct bench t;
    set_up(&t, 1, 1000, 4000);
    cr_assert_not(backlog_journal_is_behind(t.b), "there is none");
    int journal = journal_from(&t, 1), replica = follow_from(&t, 1);
    while (backlog_end(t.b) < 4001) {
        cr_assert_not(backlog_journal_is_behind(t.b));
        append(&t, 100);
    }
    cr_assert(backlog_journal_is_behind(t.b));
    for (int i = 0; i < 100; i++) append(&t, 100); /* what does not wait */
    cr_assert_eq(t.dooms, 1);
    cr_assert_eq(t.doomed_slot, replica);
    backlog_publish(t.b);
    uint64_t end = backlog_end(t.b);
    cr_assert_eq(read_all(&t, journal, 1), end);
    cr_assert_not(backlog_journal_is_behind(t.b));
    append(&t, 4000);
    cr_assert(backlog_journal_is_behind(t.b));
    reader_peer_moved(t.r, journal, end + 100);
    cr_assert(backlog_journal_is_behind(t.b), "not before an eighth is free");
    reader_peer_moved(t.r, journal, end + 501);
    cr_assert_not(backlog_journal_is_behind(t.b));
    backlog_peer_free(t.b, journal);
    append(&t, 10 * 1000);
    cr_assert_not(backlog_journal_is_behind(t.b));
    tear_down(&t);
}

/* No ring can be had: nothing that the journal needs is lost, however long that lasts. */
Test(backlog, the_journal_misses_nothing_of_a_private_stream, .timeout = 60)
{
    struct bench t;
    set_up(&t, 1, 100 * 1000, NO_LIMIT);
    int journal = journal_from(&t, 1);
    append(&t, 90 * 1000);
    backlog_publish(t.b);
    limit_file_size(4096);
    for (int i = 0; i < 20; i++) append(&t, 30 * 1000);
    backlog_publish(t.b);
    cr_assert_not(backlog_is_shared(t.b));
    cr_assert(backlog_journal_is_behind(t.b), "it cannot follow");
    uint64_t stands = read_all(&t, journal, 1);
    cr_assert_eq(stands, 90 * 1000 + 1);
    backlog_cron(t.b);
    cr_assert_not(backlog_is_shared(t.b));
    limit_file_size(RLIM_INFINITY);
    backlog_cron(t.b);
    cr_assert(backlog_is_shared(t.b));
    append(&t, 1000);
    backlog_publish(t.b);
    cr_assert_eq(read_all(&t, journal, stands), backlog_end(t.b));
    cr_assert_not(backlog_journal_is_behind(t.b));
    tear_down(&t);
}

/* The server died before it could hand over a ring: a named one is found. */
Test(backlog, a_ring_is_found_by_its_name)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int journal = journal_from(&t, 1);
    append(&t, 900);
    backlog_publish(t.b);
    uint64_t stands = read_all(&t, journal, 1);
    reader_peer_moved(t.r, journal, 2);
    backlog_on_ring(t.b, SHM_LINK, NULL, NULL);
    append(&t, 5000);
    backlog_publish(t.b);
    cr_assert_eq(reader_next_run(t.r, journal, backlog_end(t.b) - 1, 1).len, 0);
    reader_find_rings(t.r);
    cr_assert_eq(read_all(&t, journal, stands), backlog_end(t.b));
    reader_find_rings(t.r);
    tear_down(&t);
}

/* Of two marks one is whole, whatever its writer was doing when it died. */
Test(backlog, the_next_journal_finds_the_last_whole_mark)
{
    struct bench t;
    struct journal_mark mark = {.file = 3, .durable_offset = 1}, found;
    set_up(&t, 1, 1000, NO_LIMIT);
    int slot = backlog_journal_claim(t.b, 1);
    cr_assert_not(reader_journal_resume(t.r, slot, &found), "nobody has begun");
    reader_peer_open(t.r, slot);
    cr_assert_not(reader_journal_resume(t.r, slot, &found), "and nobody has come to anything");
    for (uint64_t n = 2; n < 10; n++) {
        mark.written_offset = n;
        mark.written_bytes = 2 * n;
        mark.in_multi = n % 2;
        reader_journal_moved(t.r, slot, &mark, n);
        cr_assert(reader_journal_resume(t.r, slot, &found));
        cr_assert(found.written_offset == n && found.written_bytes == 2 * n && found.file == 3);
        cr_assert_eq(found.in_multi, n % 2);
    }
    struct region r;
    cr_assert_eq(control_map(&r, dup(backlog_control_fd(t.b))), 0);
    struct shm_mark *marks = control_of(&r)->journal.marks;
    marks[marks[0].turn > marks[1].turn ? 0 : 1].turn = 0; /* killed within the next one */
    cr_assert(reader_journal_resume(t.r, slot, &found));
    cr_assert_eq(found.written_offset, 8);
    region_unmap(&r);
    backlog_peer_free(t.b, slot);
    cr_assert_eq(backlog_journal_claim(t.b, 1), slot);
    cr_assert_not(reader_journal_resume(t.r, slot, &found), "marks of another claim say nothing");
    tear_down(&t);
}

/* Short of descriptors, and only for a moment: the window goes on in the rings before. */
Test(backlog, a_short_lack_of_memory_costs_the_window_nothing)
{
    struct bench t;
    set_up(&t, 1, 100 * 1000, NO_LIMIT);
    int slot = follow_from(&t, 1);
    append(&t, 90 * 1000);
    limit_file_size(4096);
    append(&t, 20 * 1000);
    cr_assert_not(backlog_is_shared(t.b));
    limit_file_size(RLIM_INFINITY);
    reader_peer_let_go(t.r, slot);
    backlog_peer_free(t.b, slot);
    append(&t, 1000);
    backlog_cron(t.b);
    cr_assert(backlog_is_shared(t.b));
    cr_assert_leq(backlog_first(t.b), backlog_end(t.b) - 100 * 1000);
    uint64_t from = backlog_end(t.b) - 100 * 1000;
    slot = follow_from(&t, from);
    backlog_publish(t.b);
    cr_assert_eq(read_all(&t, slot, from), backlog_end(t.b));
    tear_down(&t);
}

Test(backlog, a_killed_servers_objects_are_replaced)
{
    char name[64], ring[80];
    snprintf(name, sizeof(name), "/slipstream-test-stale-%d", getpid());
    snprintf(ring, sizeof(ring), "%s.7", name);
    pid_t child = fork();
    if (child == 0) {
        backlog_open(name, 1, &(struct backlog_limits){.rest_bytes = 1000}, &(struct backlog_events){0});
        close(shm_open(ring, O_CREAT | O_RDWR, 0600));
        _exit(0);
    }
    waitpid(child, NULL, 0);
    cr_assert_eq(access("/dev/shm", F_OK), 0);
    int left = shm_open(name, O_RDONLY, 0);
    cr_assert_geq(left, 0);
    close(left);
    struct bench t;
    set_up_named(&t, name, 1, 1000, NO_LIMIT);
    cr_assert_eq(shm_open(ring, O_RDONLY, 0), -1);
    struct region r;
    cr_assert_eq(owner_of_name(name).state, OWNER_LIVING);
    cr_assert_eq(owner_of_name(name).pid, getpid());
    cr_assert_eq(region_open(&r, name), 0);
    cr_assert_eq(control_of(&r)->writer_pid, getpid());
    region_unmap(&r);
    tear_down(&t);
    cr_assert_eq(shm_open(name, O_RDONLY, 0), -1);
}

Test(backlog, a_living_servers_objects_are_left_alone)
{
    struct bench mine, other;
    set_up(&mine, 1, 1000, NO_LIMIT);
    set_up_named(&other, mine.name, 77, 1000, NO_LIMIT);
    struct region r;
    cr_assert_eq(region_open(&r, mine.name), 0);
    cr_assert_eq(atomic_load(&control_of(&r)->first), 1);
    region_unmap(&r);
    tear_down(&other);
    cr_assert_eq(owner_of_name(mine.name).state, OWNER_LIVING);
    tear_down(&mine);
}

Test(backlog, what_is_not_understood_is_refused)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    struct region r;
    cr_assert_eq(control_map(&r, dup(backlog_control_fd(t.b))), 0);
    control_of(&r)->version++;
    struct region again;
    int fd = dup(backlog_control_fd(t.b));
    cr_assert_eq(control_map(&again, fd), -1);
    cr_assert_eq(errno, EPROTO);
    control_of(&r)->version--;
    cr_assert_eq(control_map(&again, fd), 0, "a refused descriptor stays the caller's");
    region_unmap(&again);
    region_unmap(&r);
    tear_down(&t);
}

/* --- memory --- */

static uint64_t pages_of(const struct bench *t)
{
    char path[96];
    uint64_t bytes = 0;
    for (int ring = 1; ring < 10; ring++) {
        struct stat status;
        snprintf(path, sizeof(path), "/dev/shm%s.%d", t->name, ring);
        if (stat(path, &status) == 0) bytes += (uint64_t)status.st_blocks * 512;
    }
    return bytes;
}

/* What is reserved is used memory of this process, and nothing else is. */
static void expect_counted(const struct bench *t, size_t before)
{
    uint64_t counted = backlog_memory(t->b), pages = pages_of(t);
    cr_assert_geq(mem_used() - before, counted);
    cr_assert_leq(mem_used() - before, counted + 65536);
    cr_assert(pages >= counted && pages <= counted + 8 * 4096, "%llu of %llu", (unsigned long long)counted,
              (unsigned long long)pages);
}

Test(backlog, memory_is_counted)
{
    struct bench t;
    uint64_t const mib = 1 << 20;
    set_up(&t, 1, 8 * mib, NO_LIMIT);
    size_t before = mem_used() - backlog_memory(t.b);
    append(&t, 3 * mib);
    expect_counted(&t, before);
    int slot = follow_from(&t, backlog_end(t.b));
    for (int i = 0; i < 14; i++) append(&t, mib);
    cr_assert_gt(backlog_memory(t.b), 14 * mib);
    expect_counted(&t, before);
    reader_peer_let_go(t.r, slot);
    backlog_peer_free(t.b, slot);
    backlog_restart(t.b, 5 * mib + 17); /* the first lap of its ring is not over */
    append(&t, 2 * mib);
    expect_counted(&t, before);
    backlog_restart(t.b, 1); /* nor is this one */
    append(&t, mib);
    expect_counted(&t, before);
    append(&t, 30 * mib);
    expect_counted(&t, before);
    tear_down(&t);
    cr_assert_leq(mem_used(), before);
}

/* --- who says what of a slot --- */

static uint64_t needed(struct bench *t, int slot)
{
    struct backlog_peer_view view;
    backlog_peer_view(t->b, slot, &view);
    return view.next_offset;
}

/* What the link left in a slot, also one that was killed, says nothing of the next peer there. */
Test(backlog, a_slots_next_peer_begins_anew)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    append(&t, 100);
    backlog_publish(t.b);
    int slot = follow_from(&t, 1);
    reader_peer_set_state(t.r, slot, PEER_ONLINE);
    reader_peer_acked(t.r, slot, 90, 80, 1234);
    reader_peer_count(t.r, slot, 7, 8);
    cr_assert_eq(read_all(&t, slot, 1), 101);
    backlog_peer_free(t.b, slot);
    cr_assert_eq(backlog_peer_claim(t.b, 51), slot);
    for (int opened = 0; opened < 2; opened++) {
        struct backlog_peer_view view;
        backlog_peer_view(t.b, slot, &view);
        cr_assert_eq(view.state, PEER_WAITING);
        cr_assert_eq(view.next_offset, 51);
        cr_assert_eq(view.acked_offset + view.fack_offset + view.sent_bytes + view.received_bytes, 0);
        cr_assert_eq(view.heard_ms, 0);
        reader_peer_open(t.r, slot);
    }
    reader_peer_moved(t.r, slot, 61);
    cr_assert_eq(needed(&t, slot), 61);
    tear_down(&t);
}

/* Until the link has opened a slot, the peer needs what it was promised. */
Test(backlog, what_a_claim_needs_is_kept_before_the_link_knows_of_it)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int slot = follow_from(&t, 1);
    reader_peer_let_go(t.r, slot);
    backlog_peer_free(t.b, slot);
    cr_assert_eq(backlog_peer_claim(t.b, 1), slot);
    for (int i = 0; i < 100; i++) append(&t, 100);
    backlog_publish(t.b);
    reader_peer_open(t.r, slot);
    cr_assert_eq(read_all(&t, slot, 1), 10001);
    tear_down(&t);
}

/* The server's word and the link's stand beside each other: a doom does not hide how far the peer had come, and what
 * the link says does not take the doom back. */
Test(backlog, a_doom_stays_whatever_the_link_says)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int slot = follow_from(&t, 1);
    append(&t, 10);
    backlog_publish(t.b);
    reader_peer_set_state(t.r, slot, PEER_SENDING_SNAPSHOT);
    backlog_peer_doom(t.b, slot);
    reader_peer_set_state(t.r, slot, PEER_ONLINE);
    cr_assert(reader_peer_is_doomed(t.r, slot));
    cr_assert_eq(reader_next_run(t.r, slot, 1, 10).len, 0);
    reader_peer_let_go(t.r, slot);
    struct backlog_peer_view view;
    backlog_peer_view(t.b, slot, &view);
    cr_assert_eq(view.state, PEER_ONLINE, "it can still be seen how far it had come");
    backlog_peer_free(t.b, slot);
    cr_assert_eq(follow_from(&t, 1), slot);
    cr_assert_not(reader_peer_is_doomed(t.r, slot));
    tear_down(&t);
}

/* --- bells --- */

/* Who rings late or for the second time rings for a sleep that is over, and the next one is not taken back by that. A
 * snapshot child remembers for itself: killed before it rang, it has not kept the server from ringing. */
Test(backlog, each_sleep_is_rung_for_by_each_ringer)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int spool = backlog_spool_claim(t.b), bell = reader_bell(t.r);
    for (int round = 0; round < 3; round++) {
        cr_assert(reader_arm_bell(t.r));
        pid_t child = fork();
        if (child == 0) {
            backlog_spool_advance(t.b, spool, 10);
            _exit(0);
        }
        waitpid(child, NULL, 0);
        cr_assert(bell_rings(bell));
        eventfd_t count;
        cr_assert_eq(eventfd_read(bell, &count), 0);
        append(&t, 1);
        backlog_publish(t.b);
        cr_assert(bell_rings(bell), "the child's ring says nothing of the server's");
        reader_answer_bell(t.r);
        append(&t, 1);
        backlog_publish(t.b);
        cr_assert_not(bell_rings(bell));
    }
    tear_down(&t);
}

/* A link that is killed in its sleep is followed by one that is awake, and whose sleeps are new to those who ring. */
Test(backlog, the_next_link_is_rung_for_too)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    for (int link = 0; link < 3; link++) {
        struct reader *next = reader_attach(SHM_LINK, dup(backlog_control_fd(t.b)), dup(backlog_bell(t.b, SHM_LINK)),
                                            dup(backlog_server_bell(t.b)));
        append(&t, 1);
        backlog_publish(t.b);
        cr_assert_not(bell_rings(reader_bell(next)), "it is awake");
        cr_assert(reader_arm_bell(next));
        append(&t, 1);
        backlog_publish(t.b);
        cr_assert(bell_rings(reader_bell(next)));
        reader_answer_bell(next);
        cr_assert(reader_arm_bell(next));
        reader_detach(next);
    }
    tear_down(&t);
}

Test(backlog, the_bell_rings_once_and_only_for_a_sleeper)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    append(&t, 1);
    backlog_publish(t.b);
    cr_assert_not(bell_rings(reader_bell(t.r)));
    cr_assert(reader_arm_bell(t.r));
    cr_assert_not(reader_arm_bell(t.r));
    backlog_publish(t.b);
    cr_assert_not(bell_rings(reader_bell(t.r)), "nothing new, no bell");
    append(&t, 1);
    backlog_publish(t.b);
    cr_assert(bell_rings(reader_bell(t.r)));
    reader_answer_bell(t.r);
    append(&t, 1);
    backlog_publish(t.b);
    cr_assert_not(bell_rings(reader_bell(t.r)), "not armed again yet");
    int spool = backlog_spool_claim(t.b);
    cr_assert(reader_arm_bell(t.r));
    backlog_spool_advance(t.b, spool, 10);
    cr_assert(bell_rings(reader_bell(t.r)), "a growing spool wakes, too");
    tear_down(&t);
}

Test(backlog, the_server_hears_of_the_acknowledgement_it_waits_for)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    int slot = follow_from(&t, 1), bell = backlog_server_bell(t.b);
    reader_peer_acked(t.r, slot, 10, 0, 1234);
    cr_assert_not(bell_rings(bell), "nobody waits");
    backlog_watch_acks(t.b, 20);
    reader_peer_acked(t.r, slot, 19, 0, 1235);
    cr_assert_not(bell_rings(bell));
    reader_peer_acked(t.r, slot, 20, 0, 1236);
    cr_assert(bell_rings(bell));
    eventfd_t count;
    cr_assert_eq(eventfd_read(bell, &count), 0);
    reader_peer_acked(t.r, slot, 20, 0, 1236);
    cr_assert_not(bell_rings(bell), "the same again is no news");
    reader_peer_acked(t.r, slot, 20, 15, 1236);
    cr_assert(bell_rings(bell), "what has come to its disk is");
    cr_assert_eq(eventfd_read(bell, &count), 0);
    reader_peer_acked(t.r, slot, 21, 0, 1236);
    cr_assert(bell_rings(bell), "somebody else may wait for a later one");
    struct backlog_peer_view view;
    backlog_peer_view(t.b, slot, &view);
    cr_assert_eq(view.acked_offset, 21);
    cr_assert_eq(view.fack_offset, 15);
    cr_assert_eq(view.heard_ms, 1236);
    cr_assert_eq(view.state, PEER_WAITING);
    tear_down(&t);
}

Test(backlog, slots_and_spools_are_finite_and_come_back)
{
    struct bench t;
    set_up(&t, 1, 1000, NO_LIMIT);
    for (int i = 0; i < BACKLOG_PEERS_MAX; i++) cr_assert_eq(backlog_peer_claim(t.b, 1), i);
    cr_assert_eq(backlog_peer_claim(t.b, 1), -1);
    backlog_peer_free(t.b, 64);
    cr_assert_eq(backlog_peer_claim(t.b, 1), 64);
    for (int i = 0; i < BACKLOG_SPOOLS_MAX; i++) cr_assert_eq(backlog_spool_claim(t.b), i);
    cr_assert_eq(backlog_spool_claim(t.b), -1);
    backlog_spool_advance(t.b, 2, 77);
    cr_assert_eq(reader_spool_bytes(t.r, 2), 77);
    cr_assert_eq(reader_spool_state(t.r, 2), SPOOL_GROWING);
    backlog_spool_finish(t.b, 2, false);
    cr_assert_eq(reader_spool_state(t.r, 2), SPOOL_FAILED);
    backlog_spool_free(t.b, 2);
    cr_assert_eq(backlog_spool_claim(t.b), 2);
    cr_assert_eq(backlog_spool_bytes(t.b, 2), 0);
    tear_down(&t);
}

/* --- writer and reader at the same time --- */

struct follower {
    struct bench *t;
    uint64_t seed;
    int slots[3];
    uint64_t at[3];
    _Atomic bool stop, done;
    _Atomic int wrong;
    _Atomic uint64_t checked;
};

/* Takes runs, holds each a while as a slow socket would, and checks the bytes only when it lets go of them. */
static void *follow(void *arg)
{
    struct follower *f = arg;
    struct random_state random;
    random_seed(&random, f->seed);
    struct bytes held[3] = {{0}};
    for (int open = 3; open > 0 && !f->wrong;) {
        int i = (int)random_below(&random, 3), slot = f->slots[i];
        if (slot < 0) continue;
        if (held[i].len > 0) {
            if (!is_stream(held[i], f->at[i])) f->wrong++;
            f->at[i] += held[i].len;
            f->checked += held[i].len;
            if (!reader_peer_is_doomed(f->t->r, slot)) reader_peer_moved(f->t->r, slot, f->at[i]);
            held[i].len = 0;
        } else if (reader_peer_is_doomed(f->t->r, slot) || (f->stop && f->at[i] == reader_end(f->t->r))) {
            reader_peer_let_go(f->t->r, slot);
            f->slots[i] = -1;
            open--;
        } else if (random_below(&random, 4) >= (uint64_t)i) {
            held[i] = reader_next_run(f->t->r, slot, f->at[i], 1 + random_below(&random, 3000));
        }
    }
    f->done = true;
    return NULL;
}

/* The writer's thread adds rings to the reader here: nobody looks for an offset in one before it is published. */
static void write_and_follow(uint64_t seed, uint64_t hard)
{
    struct bench t;
    set_up(&t, 1, 4096, hard);
    struct follower f = {.t = &t, .seed = seed};
    for (int i = 0; i < 3; i++) {
        f.slots[i] = follow_from(&t, 1);
        f.at[i] = 1;
    }
    pthread_t thread;
    pthread_create(&thread, NULL, follow, &f);
    struct random_state random;
    random_seed(&random, seed + 1);
    uint64_t head_start = hard == NO_LIMIT ? 200 * 1000 : hard / 2;
    for (int turn = 0; turn < 3000; turn++) {
        for (uint64_t n = random_below(&random, 4); n > 0; n--) append(&t, 1 + random_below(&random, 700));
        if (random_below(&random, 200) == 0) append(&t, 6000);
        backlog_publish(t.b);
        if (random_below(&random, 20) == 0) backlog_cron(t.b);
        while (!f.done && f.checked + head_start < backlog_end(t.b)) sched_yield();
    }
    f.stop = true;
    pthread_join(thread, NULL);
    cr_assert_eq(f.wrong, 0, "seed %llu", (unsigned long long)seed);
    cr_assert_gt(f.checked, hard / 4);
    if (hard == NO_LIMIT) cr_assert_eq(f.checked, 3 * (backlog_end(t.b) - 1), "seed %llu", (unsigned long long)seed);
    tear_down(&t);
}

Test(backlog, followers_read_what_was_written)
{
    uint64_t seed = (uint64_t)getpid();
    for (uint64_t round = 0; round < 5; round++) write_and_follow(seed + 100 * round, NO_LIMIT);
}

Test(backlog, dooming_overwrites_nothing)
{
    uint64_t seed = (uint64_t)getpid();
    for (uint64_t round = 0; round < 5; round++) write_and_follow(seed + 100 * round, 20 * 1000);
}
