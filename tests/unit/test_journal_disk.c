/* The journal process on a disk that is full, fails or is slow: it says so, writes again what the disk has lost,
 * and goes on. */
#include "tests/unit/test_journal_rig.h"

#include <dlfcn.h>
#include <liburing.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* In the journal: while this file exists (an environment variable names it), no fsync succeeds. */
#define FAILING_FSYNC "TEST_FAILING_FSYNC"
#define LOSING_FSYNC  "TEST_LOSING_FSYNC"
/* While this one exists, all that is asked of the disk takes SLOW_US. */
#define SLOW_DISK "TEST_SLOW_DISK"
/* An fsync that goes through a ring makes this one. */
#define RING_FSYNC "TEST_RING_FSYNC"
#define SLOW_US    20000

/* --- a disk that fails: the journal's calls come here, since it is this program --- */

static bool is_there(const char *variable)
{
    const char *path = getenv(variable);
    return path && access(path, F_OK) == 0;
}

static bool fsync_fails(void)
{
    return is_there(FAILING_FSYNC);
}

static void be_slow(void)
{
    if (is_there(SLOW_DISK)) usleep(SLOW_US);
}

/* What was written is lost as well, as pages of a failed fsync may be. */
static void lose_end(int fd)
{
    static const uint8_t zeros[64];
    off_t end = lseek(fd, 0, SEEK_END);
    if (end >= (off_t)sizeof(zeros)) (void)!pwrite(fd, zeros, sizeof(zeros), end - (off_t)sizeof(zeros));
}

ssize_t pwritev(int fd, const struct iovec *runs, int count, off_t offset)
{
    be_slow();
    return syscall(SYS_pwritev, fd, runs, count, offset, 0);
}

int fdatasync(int fd)
{
    be_slow();
    if (!fsync_fails()) return (int)syscall(SYS_fdatasync, fd);
    if (getenv(LOSING_FSYNC)) lose_end(fd);
    errno = EIO;
    return -1;
}

/* An fsync of no descriptor fails as well (EBADF). */
int io_uring_submit(struct io_uring *ring)
{
    int (*submit)(struct io_uring *) = (int (*)(struct io_uring *))dlsym(RTLD_NEXT, "io_uring_submit");
    for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++) {
        struct io_uring_sqe *sqe = &ring->sq.sqes[i & ring->sq.ring_mask];
        const char *made = sqe->opcode == IORING_OP_FSYNC ? getenv(RING_FSYNC) : NULL;
        if (made) close(open(made, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        if (sqe->opcode == IORING_OP_FSYNC && fsync_fails()) sqe->fd = -1;
        be_slow();
    }
    return submit(ring);
}
/* --- errors --- */

static void limit_file(struct rig *rig, rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};
    cr_assert_eq(prlimit(journal_handle_pid(rig->journal), RLIMIT_FSIZE, &limit, NULL), 0);
}

static void expect_whole_file(const struct rig *rig)
{
    struct found f = read_files(rig, 0);
    cr_assert(f.whole, "no torn command");
    cr_assert_leq(f.bytes, rig->data_bytes);
    cr_assert(bytes_equal(bytes_make(f.data, f.bytes), bytes_make(rig->data, f.bytes)));
    free(f.data);
}

ENGINES(a_full_file_is_told_and_gone_on_with_later)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_ALWAYS);
    for (int i = 1; i <= 3; i++) {
        write_some(&rig, 10);
        UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
        limit_file(&rig, journal_file_bytes(rig.journal) + below(&rig, 1000));
        for (int n = 0; n < 100; n++) append_set(&rig, 100);
        publish(&rig);
        UNTIL(&rig, rig.failed == i);
        cr_assert_eq(rig.error, EFBIG);
        cr_assert_eq(journal_error(rig.journal), EFBIG);
        cr_assert_neq(journal_finish(rig.journal, 0), 0);
        limit_file(&rig, RLIM_INFINITY);
        UNTIL(&rig, rig.recovered == i);
        UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
        expect_whole_file(&rig);
    }
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    expect_all(&rig, 0);
    tear_down(&rig);
}

/* A disk that is full, and gets room again; the journal dies meanwhile, too. */
ENGINES(a_full_disk_tears_nothing)
{
    struct rig rig;
    char ballast[96];
    set_up_with(&rig, engine, AOF_FSYNC_EVERYSEC, 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", rig.directory, "tmpfs", 0, "size=512k") != 0) {
        rmdir(rig.directory);
        cr_skip_test("no file system of our own can be mounted here");
    }
    snprintf(ballast, sizeof(ballast), "%s/ballast", rig.directory);
    int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    cr_assert_eq(posix_fallocate(fd, 0, 256 * 1024), 0);
    close(fd);
    start(&rig);
    while (!rig.failed) {
        if (rig.data_bytes < 400 * 1000) write_some(&rig, 5);
        loop_turn(rig.loop, 1);
    }
    cr_assert_eq(rig.error, ENOSPC);
    kill(journal_handle_pid(rig.journal), SIGKILL);
    UNTIL(&rig, rig.died == 1);
    cr_assert_neq(journal_finish(rig.journal, 200), 0);
    cr_assert_eq(errno, ENOSPC);
    cr_assert_eq(rig.recovered, 0);
    unlink(ballast);
    UNTIL(&rig, rig.recovered == 1);
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    expect_all(&rig, 0);
    tear_down(&rig);
    umount2(rig.directory, MNT_DETACH);
    rmdir(rig.directory);
}

static void fsync_fails_for_a_while(enum loop_engine engine, int fsync)
{
    struct rig rig;
    char flag[96];
    set_up_with(&rig, engine, fsync, 0);
    snprintf(flag, sizeof(flag), "%s/failing", rig.directory);
    setenv(FAILING_FSYNC, flag, 1);
    if (fsync == AOF_FSYNC_ALWAYS) setenv(LOSING_FSYNC, "yes", 1);
    start(&rig);
    for (int i = 1; i <= 3; i++) {
        write_some(&rig, 10);
        UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
        close(open(flag, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        uint64_t durable = last(&rig);
        append_set(&rig, 500);
        publish(&rig);
        UNTIL(&rig, rig.failed == i);
        write_some(&rig, 10);
        cr_assert_neq(journal_finish(rig.journal, 150), 0, "nothing is durable that was not fsynced");
        cr_assert_eq(journal_durable_offset(rig.journal), durable);
        unlink(flag);
        UNTIL(&rig, rig.recovered == i);
        UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
        cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0); /* no fsync of the above is still to come */
    }
    expect_all(&rig, 0);
    unsetenv(FAILING_FSYNC);
    unsetenv(LOSING_FSYNC);
    tear_down(&rig);
}

/* Its bytes are still in the ring, and are written again. */
ENGINES(a_failed_fsync_under_always_is_made_good)
{
    fsync_fails_for_a_while(engine, AOF_FSYNC_ALWAYS);
}

ENGINES(a_failed_fsync_under_everysec_is_made_good)
{
    fsync_fails_for_a_while(engine, AOF_FSYNC_EVERYSEC);
}

/* Where the loop has io_uring, the fsyncs that nobody waits for go through a ring; else through a thread. */
ENGINES(fsyncs_of_everysec_go_through_a_ring)
{
    struct rig rig;
    char made[96];
    set_up_with(&rig, engine, AOF_FSYNC_EVERYSEC, 0);
    snprintf(made, sizeof(made), "%s/made", rig.directory);
    setenv(RING_FSYNC, made, 1);
    start(&rig);
    write_some(&rig, 10);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    cr_expect_eq(access(made, F_OK) == 0, engine == LOOP_ENGINE_URING);
    unlink(made);
    unsetenv(RING_FSYNC);
    tear_down(&rig);
}

/* --- delays --- */

static void note_delay(void *context, enum shm_delay kind, int64_t took_us, int64_t at_s)
{
    int64_t *worst_us = context;
    cr_expect_leq(llabs(at_s - clock_wall_ms() / 1000), DEADLINE_MS / 1000);
    if (took_us > worst_us[kind]) worst_us[kind] = took_us;
}

static void expect_delays(enum loop_engine engine, int fsync, enum shm_delay wanted)
{
    struct rig rig;
    char flag[96];
    int64_t worst_us[SHM_DELAYS] = {0};
    set_up_with(&rig, engine, fsync, 0);
    snprintf(flag, sizeof(flag), "%s/slow", rig.directory);
    setenv(SLOW_DISK, flag, 1);
    start(&rig);
    close(open(flag, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    while (worst_us[wanted] < SLOW_US || worst_us[DELAY_WRITE] < SLOW_US) {
        write_some(&rig, 1);
        UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
        journal_tell_delays(rig.journal, note_delay, worst_us);
    }
    unlink(flag);
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    journal_tell_delays(rig.journal, note_delay, worst_us);
    memset(worst_us, 0, sizeof(worst_us));
    journal_tell_delays(rig.journal, note_delay, worst_us);
    for (int kind = 0; kind < SHM_DELAYS; kind++) cr_expect_eq(worst_us[kind], 0, "nothing is told twice");
    expect_all(&rig, 0);
    unsetenv(SLOW_DISK);
    tear_down(&rig);
}

ENGINES(a_slow_fsync_that_is_waited_for_is_told)
{
    expect_delays(engine, AOF_FSYNC_ALWAYS, DELAY_FSYNC_ALWAYS);
}

ENGINES(a_slow_write_is_told)
{
    expect_delays(engine, AOF_FSYNC_NO, DELAY_WRITE);
}
