/* The journal process, driven as the server drives it: a real process on a real channel, a stream in a real backlog, files
 * in a directory of the test's own. This program is its own journal, started through /proc/self/exe. Every test runs on
 * both engines. */
#include "server/aof/annotation.h"
#include "server/aof/journal_handle.h"
#include "server/aof/journal_lock.h"
#include "server/aof/scan.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/base/random.h"
#include "shm/control.h"
#include "shm/reader.h"
#include "shm/region.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the journal: while this file exists (an environment variable names it), no fsync succeeds. */
#define FAILING_FSYNC "TEST_FAILING_FSYNC"
#define LOSING_FSYNC  "TEST_LOSING_FSYNC"
/* While this one exists, all that is asked of the disk takes SLOW_US. */
#define SLOW_DISK "TEST_SLOW_DISK"
/* An fsync that goes through a ring makes this one. */
#define RING_FSYNC "TEST_RING_FSYNC"
#define SLOW_US    20000

#define DEADLINE_MS 20000
#define REST_BYTES  (64 * 1024)
#define ID          "0123456789abcdef0123456789abcdef01234567"
#define OTHER_ID    "fedcba9876543210fedcba9876543210fedcba98"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], JOURNAL_ARGUMENT) == 0) return journal_main(argc, argv);
    struct criterion_test_set *tests = criterion_initialize();
    int result = criterion_handle_args(argc, argv, true) ? !criterion_run_all_tests(tests) : 0;
    criterion_finalize(tests);
    return result;
}

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

/* --- the server's side --- */

struct rig {
    struct loop *loop;
    struct backlog *backlog;
    struct journal_handle *journal;
    struct aof_settings settings;
    char directory[64];
    int files; /* opened so far */
    int moved, failed, recovered, died, error;

    /* what the files have to hold in the end: all that was data */
    uint8_t *data;
    size_t data_bytes, data_room;
    uint64_t next_key;
    struct random_state random, pace; /* of the data; of everything else */
};

static void on_moved(void *context)
{
    ((struct rig *)context)->moved++;
}

static void on_failed(void *context, int error)
{
    ((struct rig *)context)->failed++;
    ((struct rig *)context)->error = error;
}

static void on_recovered(void *context)
{
    ((struct rig *)context)->recovered++;
}

static void on_died(void *context)
{
    ((struct rig *)context)->died++;
}

static void set_up_with(struct rig *rig, enum loop_engine engine, int fsync, uint64_t hard_bytes)
{
    char name[64];
    unsetenv("BXFI_MAP"); /* else the test library takes the journal for one of its own workers */
    *rig = (struct rig){.loop = loop_new(&(struct loop_settings){.engine = engine}), .settings.fsync = fsync};
    if (!rig->loop) cr_skip_test("the engine is refused here");
    snprintf(rig->directory, sizeof(rig->directory), "/tmp/slipstream-test-journal-XXXXXX");
    cr_assert_not_null(mkdtemp(rig->directory));
    rig->settings.directory = rig->directory;
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : (uint64_t)clock_wall_us();
    random_seed(&rig->random, seed);
    random_seed(&rig->pace, seed + 1);
    fprintf(stderr, "SEED=%llu\n", (unsigned long long)seed);
    snprintf(name, sizeof(name), "/slipstream-test-journal-%d", getpid());
    rig->backlog = backlog_open(name, 1, &(struct backlog_limits){.rest_bytes = REST_BYTES, .hard_bytes = hard_bytes},
                                &(struct backlog_events){0});
    cr_assert_not_null(rig->backlog);
    backlog_set_history(rig->backlog, ID, "", -1);
    rig->journal = journal_handle_new(
        rig->loop, "/proc/self/exe", &rig->settings,
        &(struct journal_events){
            .context = rig, .moved = on_moved, .failed = on_failed, .recovered = on_recovered, .died = on_died});
}

static void path_of(const struct rig *rig, int file, char out[96])
{
    snprintf(out, 96, "%s/%d", rig->directory, file);
}

/* The next file, as the server opens it. */
static struct journal_file open_file(struct rig *rig, struct bytes head)
{
    char path[96];
    path_of(rig, ++rig->files, path);
    struct journal_file file = {.from = backlog_end(rig->backlog), .head = head};
    file.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    cr_assert_geq(file.fd, 0);
    return file;
}

static void start(struct rig *rig)
{
    struct journal_file file = open_file(rig, bytes_make(NULL, 0));
    cr_assert_eq(journal_start(rig->journal, rig->backlog, &file), 0, "%s", strerror(errno));
    close(file.fd);
}

static void set_up(struct rig *rig, enum loop_engine engine, int fsync)
{
    set_up_with(rig, engine, fsync, 0);
    start(rig);
}

static void tear_down(struct rig *rig)
{
    char path[96];
    pid_t pid = journal_handle_pid(rig->journal);
    journal_handle_free(rig->journal);
    if (pid) cr_assert_eq(kill(pid, 0), -1, "the process has ended and is reaped");
    backlog_close(rig->backlog);
    loop_free(rig->loop);
    for (int file = 1; file <= rig->files; file++) {
        path_of(rig, file, path);
        unlink(path);
    }
    rmdir(rig->directory);
    free(rig->data);
}

#define ENGINES(name)                                                                                                  \
    static void name(enum loop_engine engine);                                                                         \
    Test(journal, name##_uring, .timeout = 120)                                                                        \
    {                                                                                                                  \
        name(LOOP_ENGINE_URING);                                                                                       \
    }                                                                                                                  \
    Test(journal, name##_epoll, .timeout = 120)                                                                        \
    {                                                                                                                  \
        name(LOOP_ENGINE_EPOLL);                                                                                       \
    }                                                                                                                  \
    static void name(enum loop_engine engine)

/* Turns the server's loop until the condition holds. */
#define UNTIL(rig, condition)                                                                                          \
    do {                                                                                                               \
        int64_t until_ms = clock_monotonic_ms() + DEADLINE_MS;                                                         \
        while (!(condition)) {                                                                                         \
            cr_assert(clock_monotonic_ms() < until_ms, "waited in vain for: %s", #condition);                          \
            loop_turn((rig)->loop, 1);                                                                                 \
            journal_cron((rig)->journal, clock_monotonic_ms());                                                        \
        }                                                                                                              \
    } while (0)

/* --- the stream --- */

static uint64_t below(struct rig *rig, uint64_t bound)
{
    return random_below(&rig->random, bound);
}

static void append(struct rig *rig, struct bytes bytes, bool is_data)
{
    backlog_append(rig->backlog, bytes.ptr, bytes.len);
    if (!is_data) return;
    if (rig->data_room < rig->data_bytes + bytes.len) {
        rig->data_room = 2 * rig->data_room + bytes.len;
        rig->data = realloc(rig->data, rig->data_room);
    }
    memcpy(rig->data + rig->data_bytes, bytes.ptr, bytes.len);
    rig->data_bytes += bytes.len;
}

static void append_text(struct rig *rig, const char *text, bool is_data)
{
    append(rig, bytes_from_text(text), is_data);
}

static void append_set(struct rig *rig, size_t value_bytes)
{
    size_t room = value_bytes + 128;
    char *text = malloc(room);
    size_t len = (size_t)snprintf(text, room, "*3\r\n$3\r\nSET\r\n$9\r\n%09llu\r\n$%zu\r\n",
                                  (unsigned long long)rig->next_key++ % 1000000000, value_bytes);
    memset(text + len, 'a' + (int)(rig->next_key % 26), value_bytes);
    memcpy(text + len + value_bytes, "\r\n", 2);
    append(rig, bytes_make(text, len + value_bytes + 2), true);
    free(text);
}

#define PING    "*1\r\n$4\r\nPING\r\n"
#define GETACK  "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"
#define MULTI   "*1\r\n$5\r\nMULTI\r\n"
#define EXEC    "*1\r\n$4\r\nexec\r\n"
#define PUBLISH "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\nm\r\n"

/* A unit of any kind, as a server may feed it. */
static void append_something(struct rig *rig)
{
    switch (below(rig, 12)) {
    case 0: append_text(rig, PING, false); break;
    case 1: append_text(rig, GETACK, false); break;
    case 2: append_text(rig, PUBLISH, false); break;
    case 3:
        append_text(rig, MULTI, true);
        for (uint64_t i = below(rig, 4); i > 0; i--) append_set(rig, below(rig, 50));
        if (below(rig, 2)) append_text(rig, PUBLISH, false);
        append_set(rig, below(rig, 50));
        append_text(rig, EXEC, true);
        break;
    case 4: append_set(rig, below(rig, 20000)); break;
    default: append_set(rig, below(rig, 200)); break;
    }
}

static void publish(struct rig *rig)
{
    backlog_publish(rig->backlog);
}

static uint64_t last(const struct rig *rig)
{
    return backlog_end(rig->backlog) - 1;
}

static void write_some(struct rig *rig, int units)
{
    for (int i = 0; i < units; i++) append_something(rig);
    publish(rig);
}

/* --- the files, as a loader sees them --- */

struct found {
    uint8_t *data;
    size_t bytes, room;
    struct aof_position position;
    struct aof_position valid; /* behind the last whole command outside of a transaction */
    size_t valid_bytes;
    int timestamps, annotations;
    bool whole;
};

static void keep(struct found *f, struct bytes bytes)
{
    if (f->room < f->bytes + bytes.len) {
        f->room = 2 * f->room + bytes.len;
        f->data = realloc(f->data, f->room);
    }
    memcpy(f->data + f->bytes, bytes.ptr, bytes.len);
    f->bytes += bytes.len;
}

static void take_record(struct found *f, const struct aof_record *record, enum aof_scan_status status, bool is_head)
{
    int64_t seconds;
    if (status == AOF_SCAN_ANNOTATION) {
        f->annotations++;
        f->timestamps += aof_read_timestamp(record->raw, &seconds) == AOF_TIMESTAMP_READ;
        aof_position_read(&f->position, record->raw);
        return;
    }
    aof_position_pass_command(&f->position, record->raw.len);
    if (is_head) return;
    keep(f, record->raw);
}

static void read_file(struct found *f, const char *path, int head_records)
{
    uint8_t *input;
    size_t len, at = 0, consumed;
    bool in_multi = false;
    cr_assert_eq(file_read_whole(path, &input, &len), 0, "%s: %s", path, strerror(errno));
    struct aof_scan *scan = aof_scan_new(&(struct aof_scan_options){.size = len, .arguments = true});
    enum aof_scan_status status;
    aof_position_begin_file(&f->position);
    while ((status = aof_scan_feed(scan, input + at, len - at, &consumed)) == AOF_SCAN_COMMAND ||
           status == AOF_SCAN_ANNOTATION) {
        bool is_head = status == AOF_SCAN_COMMAND && head_records > 0;
        take_record(f, aof_scan_record(scan), status, is_head);
        if (is_head) head_records--;
        at += consumed;
        if (aof_scan_record(scan)->kind == AOF_COMMAND_MULTI) in_multi = true;
        if (aof_scan_record(scan)->kind == AOF_COMMAND_EXEC) in_multi = false;
        if (in_multi) continue;
        f->valid = f->position;
        f->valid_bytes = f->bytes;
    }
    f->whole = f->whole && status == AOF_SCAN_END;
    aof_scan_free(scan);
    mem_free(input);
}

static struct found read_files(const struct rig *rig, int head_records)
{
    char path[96];
    struct found f = {.whole = true};
    for (int file = 1; file <= rig->files; file++) {
        path_of(rig, file, path);
        read_file(&f, path, file > 1 ? head_records : 0);
    }
    return f;
}

static void expect_all(const struct rig *rig, int head_records)
{
    struct found f = read_files(rig, head_records);
    cr_assert(f.whole, "the files end with whole commands");
    cr_assert_eq(f.bytes, rig->data_bytes, "%zu bytes instead of %zu", f.bytes, rig->data_bytes);
    cr_assert(f.bytes == 0 || memcmp(f.data, rig->data, f.bytes) == 0);
    cr_assert(f.position.known);
    cr_assert_eq(f.position.offset, last(rig), "position %llu, stream %llu", (unsigned long long)f.position.offset,
                 (unsigned long long)last(rig));
    cr_assert_str_eq(f.position.id, ID);
    free(f.data);
}

/* --- writing --- */

ENGINES(writes_what_is_data_and_nothing_else)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_NO);
    for (int i = 0; i < 200; i++) {
        write_some(&rig, 20);
        loop_turn(rig.loop, 0);
    }
    UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    cr_assert_eq(journal_durable_offset(rig.journal), last(&rig));
    expect_all(&rig, 0);
    tear_down(&rig);
}

ENGINES(always_is_durable_at_once_and_tells_who_waits)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_ALWAYS);
    for (int i = 1; i <= 50; i++) {
        append_set(&rig, 100);
        publish(&rig);
        journal_watch(rig.journal, last(&rig));
        UNTIL(&rig, rig.moved == i);
        cr_assert_eq(journal_durable_offset(rig.journal), last(&rig));
    }
    journal_watch(rig.journal, last(&rig));
    UNTIL(&rig, rig.moved == 51);
    tear_down(&rig);
}

ENGINES(everysec_is_durable_within_a_second_or_two)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_EVERYSEC);
    for (int i = 0; i < 3; i++) {
        write_some(&rig, 100);
        UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    }
    tear_down(&rig);
}

ENGINES(goes_on_in_the_next_file_from_its_offset_on)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_EVERYSEC);
    for (int i = 0; i < 10; i++) {
        write_some(&rig, 100);
        struct journal_file file = open_file(&rig, BYTES("*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"));
        cr_assert_eq(journal_switch(rig.journal, &file), 0);
        close(file.fd);
        append_set(&rig, 10); /* so that each file has its head */
        if (i % 3 == 0) loop_turn(rig.loop, 1);
    }
    publish(&rig);
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    expect_all(&rig, 1);
    tear_down(&rig);
}

/* A finish may be the last thing, or not. */
ENGINES(goes_on_after_a_finish)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_NO);
    for (int i = 0; i < 5; i++) {
        write_some(&rig, 50);
        cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
        cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
        expect_all(&rig, 0);
    }
    tear_down(&rig);
}

ENGINES(a_file_that_has_something_is_gone_on_with)
{
    struct rig rig;
    set_up_with(&rig, engine, AOF_FSYNC_NO, 0);
    struct journal_file file = open_file(&rig, bytes_make(NULL, 0));
    append_set(&rig, 10);
    cr_assert_eq(write(file.fd, rig.data, rig.data_bytes), (ssize_t)rig.data_bytes);
    file.file_bytes = rig.data_bytes;
    cr_assert_eq(write(file.fd, "*3\r\n$3\r\nSE", 10), 10, "and half a command, that a dead machine left");
    file.from = backlog_end(rig.backlog);
    publish(&rig);
    cr_assert_eq(journal_start(rig.journal, rig.backlog, &file), 0);
    close(file.fd);
    cr_assert_eq(journal_file_bytes(rig.journal), file.file_bytes);
    write_some(&rig, 20);
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    expect_all(&rig, 0);
    tear_down(&rig);
}

ENGINES(timestamps_stand_outside_of_transactions)
{
    struct rig rig;
    set_up_with(&rig, engine, AOF_FSYNC_NO, 0);
    rig.settings.timestamp_enabled = true;
    start(&rig);
    append_text(&rig, MULTI, true);
    for (int i = 0; i < 10; i++) append_set(&rig, 10);
    append_text(&rig, EXEC, true);
    publish(&rig);
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    struct found f = read_files(&rig, 0);
    cr_assert_eq(f.timestamps, 1);
    cr_assert_eq(f.annotations, 3, "a timestamp, the history, an end");
    free(f.data);
    expect_all(&rig, 0);
    tear_down(&rig);
}

ENGINES(another_name_of_the_history_is_noted)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_NO);
    write_some(&rig, 10);
    UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
    int64_t until = (int64_t)last(&rig);
    backlog_set_history(rig.backlog, OTHER_ID, ID, until);
    append_set(&rig, 10);
    publish(&rig);
    UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
    struct found f = read_files(&rig, 0);
    cr_assert_str_eq(f.position.id, OTHER_ID);
    cr_assert_str_eq(f.position.second_id, ID);
    cr_assert_eq(f.position.second_offset, until);
    cr_assert_eq(f.position.offset, last(&rig));
    free(f.data);
    tear_down(&rig);
}

/* A command that is larger than all that one write takes, and than the ring. */
ENGINES(a_huge_command_goes_to_the_file_in_parts)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_ALWAYS);
    append_set(&rig, 10);
    append_set(&rig, 5 * 1000 * 1000 + 1);
    append_set(&rig, 10);
    publish(&rig);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    expect_all(&rig, 0);
    tear_down(&rig);
}

/* no-appendfsync-on-rewrite: while a child writes nothing is fsynced, and all of it is afterwards. */
ENGINES(held_fsyncs_are_made_up_for)
{
    struct rig rig;
    set_up(&rig, engine, AOF_FSYNC_ALWAYS);
    write_some(&rig, 10);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    uint64_t durable = last(&rig);
    journal_hold_fsync(rig.journal, true);
    append_set(&rig, 10);
    publish(&rig);
    UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
    for (int i = 0; i < 20; i++) {
        append_set(&rig, 100);
        publish(&rig);
        loop_turn(rig.loop, 1);
    }
    UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
    cr_assert_leq(journal_durable_offset(rig.journal), durable + 100, "at most what it wrote before it heard of it");
    journal_hold_fsync(rig.journal, false);
    UNTIL(&rig, journal_durable_offset(rig.journal) == last(&rig));
    tear_down(&rig);
}

ENGINES(redis_checks_what_was_written)
{
    struct rig rig;
    char path[96], command[512];
    const char *peers = getenv("SLIPSTREAM_PEERS");
    if (!peers) cr_skip_test("Debian's redis-check-aof is not named");
    set_up_with(&rig, engine, AOF_FSYNC_NO, 0);
    rig.settings.timestamp_enabled = true;
    start(&rig);
    for (int i = 0; i < 20; i++) {
        write_some(&rig, 20);
        if (i % 5 == 0) cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    }
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    path_of(&rig, 1, path);
    snprintf(command, sizeof(command), "%s/usr/bin/redis-check-aof %s >/dev/null", peers, path);
    cr_assert_eq(system(command), 0);
    expect_all(&rig, 0);
    tear_down(&rig);
}

/* A region that a server is adopted with has its journal's words. */
ENGINES(what_the_journal_of_another_server_said_is_not_believed)
{
    struct rig rig;
    struct region r;
    set_up_with(&rig, engine, AOF_FSYNC_NO, 0);
    cr_assert_eq(control_map(&r, dup(backlog_control_fd(rig.backlog))), 0);
    struct shm_control *c = control_of(&r);
    c->journal.file = c->files_given = 5;
    c->journal.file_bytes = 1000;
    c->journal.finished = 1;
    c->journal.error = ENOSPC;
    start(&rig);
    cr_assert_eq(journal_file_bytes(rig.journal), 0);
    cr_assert_eq(journal_error(rig.journal), 0);
    write_some(&rig, 20);
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    expect_all(&rig, 0);
    cr_assert_eq(rig.failed + rig.recovered, 0);
    region_unmap(&r);
    tear_down(&rig);
}

/* --- deaths --- */

static void killed_again_and_again(enum loop_engine engine, int fsync)
{
    struct rig rig;
    set_up(&rig, engine, fsync);
    for (int life = 0; life < 4; life++) {
        uint64_t rounds = below(&rig, 40);
        UNTIL(&rig, journal_handle_pid(rig.journal) != 0);
        for (uint64_t i = 0; i < rounds; i++) {
            write_some(&rig, 20);
            if (below(&rig, 8) == 0) {
                struct journal_file file = open_file(&rig, bytes_make(NULL, 0));
                cr_assert_eq(journal_switch(rig.journal, &file), 0);
                close(file.fd);
            }
            loop_turn(rig.loop, below(&rig, 3) == 0);
        }
        UNTIL(&rig, journal_handle_pid(rig.journal) != 0);
        cr_assert_eq(kill(journal_handle_pid(rig.journal), SIGKILL), 0);
        UNTIL(&rig, rig.died == life + 1);
        write_some(&rig, 20);
    }
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0, "%s", strerror(errno));
    expect_all(&rig, 0);
    tear_down(&rig);
}

ENGINES(killed_under_always_another_goes_on)
{
    killed_again_and_again(engine, AOF_FSYNC_ALWAYS);
}

ENGINES(killed_under_everysec_another_goes_on)
{
    killed_again_and_again(engine, AOF_FSYNC_EVERYSEC);
}

/* Stopped, it holds the stream, and writes have to wait at the limit; then all of it comes. */
ENGINES(stopped_it_holds_writes_and_loses_nothing)
{
    struct rig rig;
    set_up_with(&rig, engine, AOF_FSYNC_EVERYSEC, 2 * REST_BYTES);
    start(&rig);
    write_some(&rig, 10);
    UNTIL(&rig, journal_written_offset(rig.journal) == last(&rig));
    cr_assert_not(backlog_journal_is_behind(rig.backlog));
    pid_t pid = journal_handle_pid(rig.journal);
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    while (!backlog_journal_is_behind(rig.backlog)) {
        write_some(&rig, 1);
        cr_assert_leq(last(&rig) - journal_written_offset(rig.journal), 3 * REST_BYTES);
    }
    for (int i = 0; i < 100; i++) append_set(&rig, 1000); /* what does not ask is kept all the same */
    publish(&rig);
    cr_assert(backlog_journal_is_behind(rig.backlog));
    cr_assert_eq(kill(pid, SIGCONT), 0);
    UNTIL(&rig, !backlog_journal_is_behind(rig.backlog));
    cr_assert_eq(journal_finish(rig.journal, DEADLINE_MS), 0);
    cr_assert_eq(rig.died, 0);
    expect_all(&rig, 0);
    tear_down(&rig);
}

/* --- the server's death --- */

struct shared {
    _Atomic uint64_t published; /* bytes of data, at the last publication */
    _Atomic int journal;        /* its pid, once it is there */
};

static void name_of_backlog(pid_t server, char out[64])
{
    snprintf(out, 64, "/slipstream-test-journal-%d", server);
}

/* A server in a process of its own: it writes until it is killed. The data is a function of the seed. */
static _Noreturn void serve(struct rig *rig, enum loop_engine engine, struct shared *shared)
{
    char name[64], path[96];
    rig->loop = loop_new(&(struct loop_settings){.engine = engine});
    rig->journal = journal_handle_new(rig->loop, "/proc/self/exe", &rig->settings, &(struct journal_events){0});
    name_of_backlog(getpid(), name);
    rig->backlog =
        backlog_open(name, 1, &(struct backlog_limits){.rest_bytes = REST_BYTES}, &(struct backlog_events){0});
    backlog_set_history(rig->backlog, ID, "", -1);
    path_of(rig, 1, path);
    struct journal_file file = {.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), .from = 1};
    if (journal_start(rig->journal, rig->backlog, &file) != 0) _exit(1);
    atomic_store(&shared->journal, journal_handle_pid(rig->journal));
    for (;;) {
        write_some(rig, (int)random_below(&rig->pace, 30));
        atomic_store(&shared->published, rig->data_bytes);
        loop_turn(rig->loop, random_below(&rig->pace, 4) == 0);
    }
}

/* Lives for a random time and is killed, and the journal just before it or not. Returns what was published for sure. */
static uint64_t live_and_die(struct rig *rig, enum loop_engine engine, bool both, pid_t *server)
{
    struct shared *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *server = fork();
    if (*server == 0) serve(rig, engine, shared);
    while (!atomic_load(&shared->journal)) {
        cr_assert_eq(waitpid(*server, NULL, WNOHANG), 0, "the server ended before it was killed");
        usleep(1000);
    }
    cr_assert_neq(journal_lock_wait(rig->directory, 0), 0, "the files are somebody's");
    usleep((useconds_t)random_below(&rig->pace, random_below(&rig->pace, 2) ? 300 * 1000 : 10 * 1000));
    if (both) kill(*server, SIGSTOP); /* or it would start another one */
    if (both) kill(atomic_load(&shared->journal), SIGKILL);
    kill(*server, SIGKILL);
    uint64_t published = atomic_load(&shared->published);
    waitpid(*server, NULL, 0);
    munmap(shared, 4096);
    cr_assert_eq(journal_lock_wait(rig->directory, DEADLINE_MS), 0);
    rig->files = 1;
    return published;
}

/* The data once more: it is what was found, as far as that goes, and so far it went. */
static void expect_data(struct rig *rig, const struct found *f, uint64_t published)
{
    cr_assert_geq(f->bytes, published, "%zu bytes of the %llu that were published", f->bytes,
                  (unsigned long long)published);
    while (rig->data_bytes < f->bytes) append_something(rig);
    cr_assert(bytes_equal(bytes_make(f->data, f->bytes), bytes_make(rig->data, f->bytes)));
}

static void server_dies(enum loop_engine engine, int fsync)
{
    struct rig rig;
    pid_t server;
    char name[64];
    set_up_with(&rig, engine, fsync, 0);
    uint64_t published = live_and_die(&rig, engine, false, &server);
    struct found f = read_files(&rig, 0);
    cr_assert(f.whole, "no torn command");
    cr_assert(published == 0 || (f.position.known && !f.position.told),
              "%llu bytes were published, and no end is noted behind %zu", (unsigned long long)published, f.bytes);
    expect_data(&rig, &f, published);
    name_of_backlog(server, name);
    region_unlink_family(name);
    free(f.data);
    tear_down(&rig);
}

ENGINES(what_was_published_outlives_the_server_under_always)
{
    server_dies(engine, AOF_FSYNC_ALWAYS);
}

ENGINES(what_was_published_outlives_the_server_under_no)
{
    server_dies(engine, AOF_FSYNC_NO);
}

/* What the file has not, the dead server's region has: who is next finds the place by the annotations. */
static void take_rest(const struct rig *rig, struct found *f, pid_t server)
{
    char name[64];
    name_of_backlog(server, name);
    int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
    struct reader *r = reader_attach(SHM_JOURNAL, fd, eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC));
    cr_assert_not_null(r);
    reader_find_rings(r);
    uint64_t at = f->position.offset + 1;
    while (at < reader_end(r)) {
        struct bytes run = reader_next_run(r, 0, at, 1 << 20);
        cr_assert_gt(run.len, 0, "offset %llu is nowhere", (unsigned long long)at);
        keep(f, run);
        at += run.len;
    }
    reader_detach(r);
    (void)rig;
}

/* Of the rest all is taken, and what is no data with it: the comparison has to have that, too. */
static void expect_data_and_rest(struct rig *rig, const struct found *f, size_t in_file, uint64_t published)
{
    size_t at = in_file;
    while (rig->data_bytes < in_file) append_something(rig);
    cr_assert_eq(rig->data_bytes, in_file, "the file ends with a whole unit");
    cr_assert(bytes_equal(bytes_make(f->data, in_file), bytes_make(rig->data, in_file)));
    uint64_t stream = f->position.offset + 1;
    cr_assert_leq(backlog_end(rig->backlog), stream);
    while (backlog_end(rig->backlog) < stream) append_something(rig); /* what is no data, and was passed over */
    cr_assert_eq(rig->data_bytes, in_file);
    while (at < f->bytes) {
        uint64_t from = backlog_end(rig->backlog);
        append_something(rig);
        backlog_publish(rig->backlog);
        size_t len = backlog_end(rig->backlog) - from;
        cr_assert_leq(len, f->bytes - at);
        at += len;
    }
    cr_assert_geq(rig->data_bytes, published);
}

static void both_die(enum loop_engine engine, int fsync)
{
    struct rig rig;
    pid_t server;
    char name[64];
    set_up_with(&rig, engine, fsync, 0);
    uint64_t published = live_and_die(&rig, engine, true, &server);
    struct found f = read_files(&rig, 0);
    if (f.bytes > 0) {
        cr_assert(f.valid.known, "the annotations tell the place");
        f.position = f.valid;
    }
    f.bytes = f.valid_bytes;
    size_t in_file = f.bytes;
    take_rest(&rig, &f, server);
    fprintf(stderr, "%zu bytes in the file, %zu in memory alone\n", in_file, f.bytes - in_file);
    expect_data_and_rest(&rig, &f, in_file, published);
    name_of_backlog(server, name);
    region_unlink_family(name);
    free(f.data);
    tear_down(&rig);
}

ENGINES(file_and_memory_outlive_server_and_journal_under_everysec)
{
    both_die(engine, AOF_FSYNC_EVERYSEC);
}

ENGINES(file_and_memory_outlive_server_and_journal_under_always)
{
    both_die(engine, AOF_FSYNC_ALWAYS);
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
