/* What the tests of the journal process share: it is driven as the server drives it, a real process on a real channel,
 * with a stream in a real backlog and files in a directory of the test's own;
 * and the files are read as a loader reads them. */
#ifndef SLIPSTREAM_TEST_JOURNAL_RIG_H
#define SLIPSTREAM_TEST_JOURNAL_RIG_H

#include "server/aof/annotation.h"
#include "server/aof/journal_handle.h"
#include "server/aof/scan.h"
#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/base/random.h"
#include "tests/unit/test_own_process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_MS 20000
#define REST_BYTES  (64 * 1024)
#define FILE_NAME   "appendonly.aof"
#define ID          "0123456789abcdef0123456789abcdef01234567"

int main(int argc, char **argv)
{
    return run_process_or_tests(argc, argv, JOURNAL_ARGUMENT, journal_main);
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

static inline void on_moved(void *context)
{
    ((struct rig *)context)->moved++;
}

static inline void on_failed(void *context, int error)
{
    ((struct rig *)context)->failed++;
    ((struct rig *)context)->error = error;
}

static inline void on_recovered(void *context)
{
    ((struct rig *)context)->recovered++;
}

static inline void on_died(void *context)
{
    ((struct rig *)context)->died++;
}

static inline void set_up_with(struct rig *rig, enum loop_engine engine, int fsync, uint64_t hard_bytes)
{
    char name[64];
    hide_from_test_library();
    *rig = (struct rig){.loop = loop_or_skip(engine), .settings.fsync = fsync};
    snprintf(rig->directory, sizeof(rig->directory), "/tmp/slipstream-test-journal-XXXXXX");
    cr_assert_not_null(mkdtemp(rig->directory));
    rig->settings.directory = rig->directory;
    rig->settings.filename = FILE_NAME;
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

static inline void path_of(const struct rig *rig, int file, char out[96])
{
    snprintf(out, 96, "%s/%d", rig->directory, file);
}

/* The next file, as the server opens it. */
static inline struct journal_file open_file(struct rig *rig, struct bytes head)
{
    char path[96];
    path_of(rig, ++rig->files, path);
    struct journal_file file = {.from = backlog_end(rig->backlog), .head = head};
    file.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    cr_assert_geq(file.fd, 0);
    return file;
}

static inline void start(struct rig *rig)
{
    struct journal_file file = open_file(rig, bytes_make(NULL, 0));
    cr_assert_eq(journal_start(rig->journal, rig->backlog, &file), 0, "%s", strerror(errno));
    close(file.fd);
}

static inline void set_up(struct rig *rig, enum loop_engine engine, int fsync)
{
    set_up_with(rig, engine, fsync, 0);
    start(rig);
}

static inline void tear_down(struct rig *rig)
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

#define ENGINES(name) ON_BOTH_ENGINES(journal, name, 120)

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

static inline uint64_t below(struct rig *rig, uint64_t bound)
{
    return random_below(&rig->random, bound);
}

static inline void append(struct rig *rig, struct bytes bytes, bool is_data)
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

static inline void append_text(struct rig *rig, const char *text, bool is_data)
{
    append(rig, bytes_from_text(text), is_data);
}

static inline void append_set(struct rig *rig, size_t value_bytes)
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
static inline void append_something(struct rig *rig)
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

static inline void publish(struct rig *rig)
{
    backlog_publish(rig->backlog);
}

static inline uint64_t last(const struct rig *rig)
{
    return backlog_end(rig->backlog) - 1;
}

static inline void write_some(struct rig *rig, int units)
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

static inline void keep(struct found *f, struct bytes bytes)
{
    if (f->room < f->bytes + bytes.len) {
        f->room = 2 * f->room + bytes.len;
        f->data = realloc(f->data, f->room);
    }
    memcpy(f->data + f->bytes, bytes.ptr, bytes.len);
    f->bytes += bytes.len;
}

static inline void take_record(struct found *f, const struct aof_record *record, enum aof_scan_status status,
                               bool is_head)
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

static inline void read_file(struct found *f, const char *path, int head_records)
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

static inline struct found read_files(const struct rig *rig, int head_records)
{
    char path[96];
    struct found f = {.whole = true};
    for (int file = 1; file <= rig->files; file++) {
        path_of(rig, file, path);
        read_file(&f, path, file > 1 ? head_records : 0);
    }
    return f;
}

static inline void expect_all(const struct rig *rig, int head_records)
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

#endif
