/* The replication backlog: what the writer appended is what a reader finds, however the rings wrap, grow and shrink;
 * its limits, its memory, and its objects in shared memory. */
#include "tests/unit/test_backlog_bench.h"

#include "server/base/alloc.h"
#include "shm/control.h"
#include "shm/owner.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

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
            append_published(&t, len);
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
    append_published(&t, 300);
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
        append_published(&t, 97);
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
            append_published(&t, step);
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
    append_published(&t, 10000);
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
        append_published(&t, 100);
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
    append_published(&t, 800);
    struct bytes in_flight = reader_next_run(t.r, old, 5000, 1 << 20);
    backlog_peer_doom(t.b, old);
    for (int round = 0; round < 3; round++) {
        backlog_restart(t.b, 4990);
        cr_assert_eq(backlog_first(t.b), 4990);
        cr_assert_eq(backlog_end(t.b), 4990);
        int fresh = follow_from(&t, 4990);
        append(&t, 700);
        append_published(&t, 700);
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
    append_published(&t, 5000);
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
/* No ring can be had, and the link has stopped: the writer neither waits nor overwrites nor gives up. */
Test(backlog, when_growth_fails_the_stream_goes_on_without_its_peers, .timeout = 60)
{
    struct bench t;
    set_up(&t, 1, 100 * 1000, NO_LIMIT);
    int slow = follow_from(&t, 1), fast = follow_from(&t, 1);
    append_published(&t, 60 * 1000);
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
    append_published(&t, 10 * 1000);
    cr_assert_eq(read_all(&t, slot, from), backlog_end(t.b));
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

/* --- names in shared memory --- */

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
