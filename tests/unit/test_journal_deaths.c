/* The journal process is killed or stopped, its server dies, or both do: nothing that was published is lost. */
#include "tests/unit/test_journal_rig.h"

#include "server/aof/journal_lock.h"
#include "shm/reader.h"
#include "shm/region.h"
#include "tests/harness/wait.h"
#include "tests/unit/test_harness_alone.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

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

#define SHORT_LIFE_BYTES ((uint64_t)1024 * 1024)
#define LONG_LIFE_BYTES  ((uint64_t)32 * 1024 * 1024)

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

static bool has_journal(pid_t server, struct shared *shared)
{
    cr_assert_eq(waitpid(server, NULL, WNOHANG), 0, "the server ended before it was killed");
    return atomic_load(&shared->journal) != 0;
}

static bool are_free(const struct rig *rig, const char *name)
{
    int fd = journal_lock_take(rig->directory, name);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

/* Lives until it has published so much, by chance little or more, and is killed, and the journal just before it or not.
 * Returns what was published for sure. */
static uint64_t live_and_die(struct rig *rig, enum loop_engine engine, bool both, pid_t *server)
{
    struct shared *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *server = fork();
    if (*server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* it writes without end */
        serve(rig, engine, shared);
    }
    wait_until_within(DEADLINE_MS, has_journal(*server, shared));
    cr_assert_not(are_free(rig, FILE_NAME), "the files are somebody's");
    cr_assert(are_free(rig, "another.aof"), "files of another name are nobody's");
    uint64_t enough = random_below(&rig->pace, random_below(&rig->pace, 2) ? LONG_LIFE_BYTES : SHORT_LIFE_BYTES);
    wait_until_within(DEADLINE_MS, atomic_load(&shared->published) >= enough);
    if (both) kill(*server, SIGSTOP); /* or it would start another one */
    if (both) kill(atomic_load(&shared->journal), SIGKILL);
    kill(*server, SIGKILL);
    uint64_t published = atomic_load(&shared->published);
    waitpid(*server, NULL, 0);
    munmap(shared, 4096);
    wait_until_within(DEADLINE_MS, are_free(rig, FILE_NAME));
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

static void bury(struct rig *rig, pid_t server, struct found *f)
{
    char name[64];
    name_of_backlog(server, name);
    region_unlink_family(name);
    free(f->data);
    tear_down(rig);
}

static void server_dies(enum loop_engine engine, int fsync)
{
    struct rig rig;
    pid_t server;
    set_up_with(&rig, engine, fsync, 0);
    uint64_t published = live_and_die(&rig, engine, false, &server);
    struct found f = read_files(&rig, 0);
    cr_assert(f.whole, "no torn command");
    cr_assert(published == 0 || (f.position.known && !f.position.told),
              "%llu bytes were published, and no end is noted behind %zu", (unsigned long long)published, f.bytes);
    expect_data(&rig, &f, published);
    bury(&rig, server, &f);
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
static void take_rest(struct found *f, pid_t server)
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
    set_up_with(&rig, engine, fsync, 0);
    uint64_t published = live_and_die(&rig, engine, true, &server);
    struct found f = read_files(&rig, 0);
    if (f.bytes > 0) {
        cr_assert(f.valid.known, "the annotations tell the place");
        f.position = f.valid;
    }
    f.bytes = f.valid_bytes;
    size_t in_file = f.bytes;
    take_rest(&f, server);
    fprintf(stderr, "%zu bytes in the file, %zu in memory alone\n", in_file, f.bytes - in_file);
    expect_data_and_rest(&rig, &f, in_file, published);
    bury(&rig, server, &f);
}

ENGINES(file_and_memory_outlive_server_and_journal_under_everysec)
{
    both_die(engine, AOF_FSYNC_EVERYSEC);
}

ENGINES(file_and_memory_outlive_server_and_journal_under_always)
{
    both_die(engine, AOF_FSYNC_ALWAYS);
}
