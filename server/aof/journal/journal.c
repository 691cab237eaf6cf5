/* Stream into file. Journal process; journal.h has the idea.
 *
 * One write and one fsync are on their way at most. Two positions are kept: `written`, behind the last whole command of
 * what was written, and `durable`, which an fsync has vouched for; both belong to the first file of the list, since a
 * file is left only once it is durable to its end. `at` runs ahead of `written` while a batch is on its way, or a
 * command is longer than one. */
#include "server/aof/journal/journal.h"

#include "server/aof/journal/disk.h"
#include "server/aof/journal/gather.h"
#include "server/aof/journal/room.h"
#include "server/aof/settings.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/crash.h"
#include "server/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PACE_MS       2     /* without anybody who waits, what gathers in this time is one write */
#define SYNC_EVERY_MS 1000  /* appendfsync everysec */
#define RETRY_MS      100   /* after an error */
#define LOG_EVERY_MS  30000 /* about an error that goes on */
#define SLOW_MS       2000  /* a write or an fsync that takes longer is told */
#define GIVE_UP_MS    60000 /* without a server: errors without any progress */
#define COPY_BYTES    (256 * 1024)
#define DELAY_US      1000 /* what takes less is no news: latency-monitor-threshold counts milliseconds */

struct file {
    struct file *next;
    int fd;
    uint64_t number, from, bytes; /* as it was given */
    size_t head_bytes;
    char head[];
};

struct journal {
    struct loop *loop;
    struct reader *reader;
    int slot;
    struct disk *disk;
    struct journal_policy policy;
    struct file *files; /* the first is being written, those behind it follow from their offsets on */
    uint64_t newest;    /* number of the last of them */
    bool begun;         /* the first file is cut to its length, and is ours to write */

    struct position written, durable;
    uint64_t file_bytes; /* that were written: more than written.bytes within a long command */
    struct room room;    /* behind them */
    uint64_t needs;      /* that was published */
    struct gatherer gatherer;
    bool has_ended;     /* the file's last line says its end */
    bool goal_is_end;   /* the file ends with an end once the batch is written */
    size_t batch_bytes; /* of the batch, before a part of it was written */
    bool writing, syncing;
    struct position sync_goal;
    int64_t write_started_us, sync_started_us;
    enum shm_delay write_kind;
    bool slow_is_told;

    int write_error, sync_error;
    bool was_failing; /* said so in shared memory, perhaps by the journal before us */
    int64_t told_ms;  /* the error in the log */
    int64_t failing_since_ms;
    bool rewind; /* what an fsync failed for is to be written again, once no write is on its way */

    bool finishing;
    uint64_t finish_number, finish_offset;
    uint64_t settle_offset; /* the next one behind what is to be durable once; 0: nothing is */
    bool ending, lacks_some, lost_nothing;
    uint64_t seen_end, seen_call; /* of the stream, and of the server's calls, at the last gathering */
    struct loop_timer *pace_timer, *sync_timer, *retry_timer, *again_timer;
};

static void pump(struct journal *j);

/* What is written is made durable at once, since somebody may wait for it. */
static bool syncs_at_once(const struct journal *j)
{
    return j->policy.fsync == AOF_FSYNC_ALWAYS && !j->policy.fsync_is_held;
}

/* --- what is said of it --- */

static void publish(struct journal *j)
{
    struct journal_mark mark = {.file = j->files->number,
                                .written_offset = j->written.offset,
                                .written_bytes = j->written.bytes,
                                .durable_offset = j->durable.offset,
                                .durable_bytes = j->durable.bytes,
                                .in_multi = j->written.in_multi};
    bool keeps_undurable = syncs_at_once(j) && j->durable.offset < j->written.offset;
    uint64_t needs = keeps_undurable ? j->durable.offset : j->written.offset;
    if (needs > j->needs) j->needs = needs; /* what has been let go once is not had back */
    reader_journal_moved(j->reader, j->slot, &mark, j->needs);
}

/* What was left out moves the stream on and not the file. */
static void position_moved(struct journal *j)
{
    if (j->durable.bytes == j->written.bytes) j->durable = j->written;
    publish(j);
}

static int64_t retry(void *arg)
{
    struct journal *j = arg;
    j->retry_timer = NULL;
    pump(j);
    return LOOP_TIMER_DONE;
}

static bool may_be_told(struct journal *j)
{
    int64_t now_ms = loop_monotonic_ms(j->loop);
    if (j->told_ms && now_ms - j->told_ms < LOG_EVERY_MS) return false;
    j->told_ms = now_ms;
    return true;
}

static void give_up(struct journal *j)
{
    log_warning("The append-only file lacks offsets %" PRIu64 " to %" PRIu64
                ": nothing could be written for %d seconds, and there is no server any more",
                j->durable.offset, reader_end(j->reader) - 1, GIVE_UP_MS / 1000);
    loop_stop(j->loop);
}

/* write_error and sync_error have been set or cleared. */
static void errors_changed(struct journal *j)
{
    int error = j->write_error ? j->write_error : j->sync_error;
    bool failing = error != 0;
    reader_journal_error(j->reader, error);
    if (failing) {
        int64_t now_ms = loop_monotonic_ms(j->loop);
        if (!j->failing_since_ms) j->failing_since_ms = now_ms;
        if (!j->retry_timer) j->retry_timer = loop_timer_start(j->loop, RETRY_MS, retry, j);
        if (j->ending && now_ms - j->failing_since_ms >= GIVE_UP_MS) give_up(j);
    } else {
        if (j->was_failing) log_warning("AOF write error looks solved. Redis can write again.");
        j->failing_since_ms = j->told_ms = 0;
    }
    j->was_failing = failing;
}

/* --- what is gathered --- */

/* A file may be on its way to us, and the stream beyond its first offset published. Of a server that is dead what did
 * not arrive is an empty file: what would belong there goes to the one before. */
static bool has_all_files(const struct journal *j)
{
    return j->ending || reader_journal_files_given(j->reader) == j->newest;
}

/* What has been published since the last gathering is for us, and waits for no company. */
static bool has_news(const struct journal *j)
{
    uint64_t call = reader_journal_call(j->reader);
    bool is_called = !(call & 1) || call != j->seen_call || j->finishing;
    return is_called && reader_end(j->reader) != j->seen_end;
}

static bool has_work(const struct journal *j)
{
    return j->written.offset < j->seen_end || has_news(j);
}

/* From the position on, as far as the file goes and the stream is published. */
static void gather(struct journal *j)
{
    j->seen_call = reader_journal_call(j->reader);
    j->seen_end = reader_end(j->reader);
    j->goal_is_end = false;
    /* What is published from now on may belong to a file that we have not heard of. */
    uint64_t until = has_all_files(j) ? j->seen_end : j->gatherer.at;
    if (j->files->next && j->files->next->from < until) until = j->files->next->from;
    CHECK(j->gatherer.at <= until);
    j->gatherer.now_s = loop_wall_ms(j->loop) / 1000;
    gatherer_gather(&j->gatherer, until, j->file_bytes);
}

/* Again from behind the last whole command, or where a file begins. */
static void stand_at(struct journal *j, const struct position *place)
{
    const struct file *f = j->files;
    bool head_is_due = place->bytes == f->bytes;
    j->written = *place;
    j->file_bytes = place->bytes;
    j->has_ended = false;
    gatherer_stand_at(&j->gatherer, place, head_is_due ? bytes_make(f->head, f->head_bytes) : bytes_make(NULL, 0));
}

/* --- writing --- */

static void note_delay(struct journal *j, enum shm_delay kind, int64_t started_us)
{
    int64_t took_us = clock_monotonic_us() - started_us;
    if (took_us >= DELAY_US) reader_journal_delay(j->reader, kind, clock_wall_ms() / 1000, took_us);
}

static void begin_write(struct journal *j)
{
    j->write_started_us = clock_monotonic_us();
    j->write_kind = j->syncing ? DELAY_WRITE_BESIDE_FSYNC : DELAY_WRITE;
}

static void start_write(struct journal *j)
{
    j->writing = true;
    begin_write(j);
    disk_write(j->disk, j->files->fd, j->gatherer.batch.runs, j->gatherer.batch.count, j->file_bytes);
}

/* Everything is as it was behind the last whole command. */
static void go_back_to(struct journal *j, const struct position *to)
{
    if (room_cut(&j->room, j->files->fd, to->bytes) != 0 && may_be_told(j))
        log_warning("Could not remove short write from the append-only file.  Redis may refuse to load the AOF the "
                    "next time it starts.  ftruncate: %s",
                    strerror(errno));
    stand_at(j, to);
}

static void write_failed(struct journal *j, int error)
{
    size_t written = j->batch_bytes - j->gatherer.batch.bytes;
    if (may_be_told(j)) {
        if (written)
            log_warning("Short write while writing to the AOF file: (nwritten=%zu, expected=%zu)", written,
                        j->batch_bytes);
        log_warning("Error writing to the AOF file: %s", strerror(error));
    }
    struct position before = j->written;
    go_back_to(j, &before);
    j->write_error = error;
    errors_changed(j);
}

static void batch_is_written(struct journal *j)
{
    if (j->gatherer.goal.offset != j->written.offset || j->goal_is_end) j->has_ended = j->goal_is_end;
    j->written = j->gatherer.goal;
    if (j->write_error) {
        j->write_error = 0;
        errors_changed(j);
    } else if (j->was_failing && !j->sync_error) {
        errors_changed(j);
    }
    position_moved(j);
}

/* Below 0: -errno. False: a part is left to be written. */
static bool take_written(struct journal *j, ssize_t result)
{
    if (result == -EINTR || result == -EAGAIN) result = 0;
    if (result < 0) {
        write_failed(j, (int)-result);
        return true;
    }
    j->file_bytes += (uint64_t)result;
    batch_skip(&j->gatherer.batch, (size_t)result);
    if (j->gatherer.batch.bytes > 0) return false;
    batch_is_written(j);
    return true;
}

static void wrote(void *context, ssize_t result)
{
    struct journal *j = context;
    j->writing = false;
    note_delay(j, j->write_kind, j->write_started_us);
    if (take_written(j, result))
        pump(j);
    else
        start_write(j);
}

/* --- durability --- */

static bool needs_sync(const struct journal *j)
{
    return j->durable.bytes < j->written.bytes;
}

static void start_sync(struct journal *j)
{
    j->syncing = true;
    j->sync_goal = j->written;
    j->sync_started_us = clock_monotonic_us();
    disk_sync(j->disk, j->files->fd);
}

static void take_synced(struct journal *j, int error)
{
    j->syncing = j->slow_is_told = false;
    if (error) {
        if (may_be_told(j)) log_warning("Fail to fsync the AOF file: %s", strerror(error));
        j->sync_error = error;
        j->rewind = true;
        errors_changed(j);
        return;
    }
    j->durable = j->sync_goal;
    if (j->sync_error) {
        j->sync_error = 0;
        errors_changed(j);
    }
    position_moved(j);
}

static void synced(void *context, int error)
{
    struct journal *j = context;
    if (j->policy.fsync == AOF_FSYNC_ALWAYS) note_delay(j, DELAY_FSYNC_ALWAYS, j->sync_started_us);
    take_synced(j, error);
    pump(j);
}

static int64_t pump_again(void *arg)
{
    struct journal *j = arg;
    j->again_timer = NULL;
    pump(j);
    return LOOP_TIMER_DONE;
}

/* Somebody waits for what is gathered, and every hand that it passes through costs time: written and made durable on
 * the spot. What is published meanwhile is taken in the next turn, behind what the server says. */
static void commit(struct journal *j)
{
    const struct file *f = j->files;
    ssize_t result;
    room_take(&j->room, f->fd, j->file_bytes, j->file_bytes + j->gatherer.batch.bytes);
    begin_write(j);
    do {
        result = pwritev(f->fd, j->gatherer.batch.runs, j->gatherer.batch.count, (off_t)j->file_bytes);
        if (result < 0) result = -errno;
    } while (!take_written(j, result));
    note_delay(j, j->write_kind, j->write_started_us);
    if (!j->write_error) {
        int64_t started_us = clock_monotonic_us();
        j->sync_goal = j->written;
        int error = fdatasync(f->fd) == 0 ? 0 : errno;
        note_delay(j, DELAY_FSYNC_ALWAYS, started_us);
        take_synced(j, error);
    }
    if (!j->again_timer && has_work(j)) j->again_timer = loop_timer_start(j->loop, 0, pump_again, j);
}

/* The file's own pages are taken once more, and are dirty again: a later fsync tries them anew. 0, or -1 with errno. */
static int write_again(int fd, uint64_t from, uint64_t until)
{
    uint8_t *copy = mem_alloc(COPY_BYTES);
    int result = 0;
    while (from < until && result == 0) {
        size_t most = until - from < COPY_BYTES ? (size_t)(until - from) : COPY_BYTES;
        ssize_t n = pread(fd, copy, most, (off_t)from);
        if (n == 0) errno = EIO; /* it is shorter than what was written */
        if (n <= 0 || pwrite(fd, copy, (size_t)n, (off_t)from) != n) result = -1;
        from += (uint64_t)(n > 0 ? n : 0);
    }
    mem_free(copy);
    return result;
}

/* After a failed fsync the kernel counts pages as clean that never came to the disk, and another fsync would find
 * nothing to do. */
static void write_undurable_again(struct journal *j)
{
    j->rewind = false;
    if (j->needs <= j->durable.offset) {
        struct position durable = j->durable;
        go_back_to(j, &durable);
        publish(j);
    } else if (write_again(j->files->fd, j->durable.bytes, j->written.bytes) != 0) {
        if (may_be_told(j)) log_warning("Error writing to the AOF file: %s", strerror(errno));
        j->rewind = true;
        errors_changed(j);
    }
}

static int64_t sync_is_due(void *arg)
{
    struct journal *j = arg;
    j->sync_timer = NULL;
    if (!j->syncing && !j->rewind && needs_sync(j) && !j->policy.fsync_is_held) start_sync(j);
    return LOOP_TIMER_DONE;
}

static void sync_by_policy(struct journal *j)
{
    if (j->syncing || j->policy.fsync_is_held || !needs_sync(j)) return;
    if (j->policy.fsync == AOF_FSYNC_ALWAYS || j->sync_error) {
        start_sync(j);
    } else if (j->policy.fsync == AOF_FSYNC_EVERYSEC && !j->sync_timer) {
        int64_t delay_ms = j->sync_started_us / 1000 + SYNC_EVERY_MS - loop_monotonic_ms(j->loop);
        j->sync_timer = loop_timer_start(j->loop, delay_ms > 0 ? delay_ms : 0, sync_is_due, j);
    }
}

/* The stream goes on meanwhile, and what comes behind it waits for the policy. */
static void settle(struct journal *j)
{
    if (j->durable.offset >= j->settle_offset)
        j->settle_offset = 0;
    else if (j->written.offset >= j->settle_offset && !j->syncing && needs_sync(j))
        start_sync(j);
}

/* --- files --- */

/* False: it cannot be had yet. */
static bool begin_file(struct journal *j)
{
    struct file *f = j->files;
    if (room_cut(&j->room, f->fd, j->written.bytes) != 0) {
        int error = errno;
        if (may_be_told(j)) log_warning("The append-only file cannot be cut to its length: %s", strerror(error));
        j->write_error = error;
        errors_changed(j);
        return false;
    }
    struct position beginning = j->written;
    j->begun = true;
    stand_at(j, &beginning);
    publish(j);
    return true;
}

static void leave_file(struct journal *j)
{
    struct file *left = j->files;
    j->files = left->next;
    room_give_back(&j->room, left->fd, j->written.bytes);
    close(left->fd);
    mem_free(left);
    j->written = j->durable = (struct position){.offset = j->files->from, .bytes = j->files->bytes};
    j->begun = false;
}

void journal_add_file(struct journal *j, int fd, uint64_t number, uint64_t from, uint64_t bytes, struct bytes head)
{
    struct journal_mark mark;
    bool resumes = !j->files && reader_journal_resume(j->reader, j->slot, &mark);
    j->newest = number;
    if (resumes && number < mark.file) {
        close(fd);
        return;
    }
    struct file *f = mem_alloc(sizeof(*f) + head.len), **tail = &j->files;
    *f = (struct file){.fd = fd, .number = number, .from = from, .bytes = bytes, .head_bytes = head.len};
    if (head.len) memcpy(f->head, head.ptr, head.len);
    while (*tail) tail = &(*tail)->next;
    *tail = f;
    if (tail == &j->files) {
        j->written = j->durable = (struct position){.offset = from, .bytes = bytes};
        if (!resumes) {
            reader_peer_open(j->reader, j->slot);
            reader_journal_error(j->reader, 0);
        } else if (number == mark.file) {
            j->written = (struct position){mark.written_offset, mark.written_bytes, mark.in_multi};
            j->durable = (struct position){mark.durable_offset, mark.durable_bytes, false};
        }
        publish(j);
    }
    pump(j);
}

/* --- the end --- */

/* The last line says where the stream stands, for who loads the file. False: it says so already, or cannot. */
static bool write_end(struct journal *j)
{
    const struct file *f = j->files;
    bool nothing_new = j->written.offset == f->from && j->written.bytes == f->bytes;
    if (j->has_ended || nothing_new || !gatherer_end(&j->gatherer, j->file_bytes)) return false;
    j->goal_is_end = true;
    j->batch_bytes = j->gatherer.batch.bytes;
    start_write(j);
    return true;
}

static void finish(struct journal *j)
{
    if (write_end(j) || j->syncing) return;
    if (needs_sync(j)) {
        start_sync(j);
        return;
    }
    j->finishing = false;
    room_give_back(&j->room, j->files->fd, j->file_bytes);
    if (j->ending) {
        j->lost_nothing = !j->lacks_some;
        loop_stop(j->loop);
    } else {
        reader_journal_finished(j->reader, j->finish_number);
    }
}

/* --- what is to be done next --- */

/* It is looked at once more each time, which changes nothing; the next file may begin behind the place. */
static void not_understood(struct journal *j)
{
    if (may_be_told(j))
        log_warning("The stream at offset %" PRIu64 " is no command: the journal cannot go on", j->gatherer.at);
    struct position before = j->written;
    j->gatherer.broken = false;
    go_back_to(j, &before);
    j->write_error = EPROTO;
    errors_changed(j);
}

/* True: a write has begun, or all that there was is nothing to write. */
static bool write_more(struct journal *j)
{
    gather(j);
    if (j->gatherer.broken) {
        not_understood(j);
        return true;
    }
    if (j->gatherer.batch.bytes == 0) {
        if (j->gatherer.goal.offset == j->written.offset) return false;
        j->written = j->gatherer.goal;
        position_moved(j);
        return true;
    }
    j->batch_bytes = j->gatherer.batch.bytes;
    if (syncs_at_once(j) && !j->syncing)
        commit(j);
    else
        start_write(j);
    return true;
}

static bool file_is_over(const struct journal *j)
{
    return j->files->next && j->written.offset == j->files->next->from;
}

/* The stream goes on where nobody is left to lead us. */
static void lacks_a_ring(struct journal *j)
{
    if (j->written.offset >= j->finish_offset) return;
    log_warning("The append-only file lacks offsets %" PRIu64 " to %" PRIu64
                ": the memory that holds them was not handed over before the server ended",
                j->written.offset, j->finish_offset - 1);
    j->finish_offset = j->written.offset;
    j->lacks_some = true;
    pump(j);
}

/* Everything is written. */
static void rest(struct journal *j)
{
    if (file_is_over(j)) {
        if (j->syncing) return;
        if (needs_sync(j)) {
            start_sync(j);
            return;
        }
        leave_file(j);
        pump(j);
        return;
    }
    if (j->finishing && j->written.offset >= j->finish_offset) {
        finish(j);
        return;
    }
    if (j->ending) {
        lacks_a_ring(j);
        return;
    }
    if (j->settle_offset) settle(j);
    sync_by_policy(j);
    if (j->pace_timer) return;
    if (reader_arm_bell(j->reader) && has_news(j)) {
        reader_answer_bell(j->reader);
        journal_look(j);
    }
}

/* What gathers while an fsync is on its way shares the next one. */
static bool waits_for_sync(const struct journal *j)
{
    return j->syncing && syncs_at_once(j);
}

static void pump(struct journal *j)
{
    if (!j->files || j->writing || j->retry_timer || waits_for_sync(j)) return;
    if (j->rewind) {
        if (j->syncing) return;
        write_undurable_again(j);
        if (j->rewind) return;
    }
    if (!j->begun && !begin_file(j)) return;
    if (j->settle_offset) settle(j);
    while (has_work(j)) {
        if (!write_more(j)) break;
        if (j->writing || j->retry_timer || j->again_timer) return;
    }
    rest(j);
}

static int64_t pace(void *arg)
{
    struct journal *j = arg;
    if (has_news(j)) {
        pump(j);
        return PACE_MS;
    }
    j->pace_timer = NULL;
    pump(j);
    return LOOP_TIMER_DONE;
}

static void tell_slowness(struct journal *j)
{
    int64_t now_ms = loop_monotonic_ms(j->loop);
    int64_t since_ms = j->writing ? j->write_started_us / 1000 : j->syncing ? j->sync_started_us / 1000 : now_ms;
    if (j->slow_is_told || now_ms - since_ms < SLOW_MS) return;
    j->slow_is_told = true;
    log_notice("%s the append-only file takes long (%lld ms so far; disk is busy?): %" PRIu64
               " bytes of the stream wait for it",
               j->writing ? "Writing" : "fsync of", (long long)(now_ms - since_ms),
               reader_end(j->reader) - j->written.offset);
}

void journal_look(struct journal *j)
{
    bool nobody_waits = !syncs_at_once(j) && !j->finishing;
    tell_slowness(j);
    if (!nobody_waits)
        pump(j);
    else if (!j->pace_timer && j->files && has_news(j))
        j->pace_timer = loop_timer_start(j->loop, PACE_MS, pace, j);
    else if (!j->pace_timer)
        pump(j);
}

void journal_set_policy(struct journal *j, const struct journal_policy *policy, bool was_failing)
{
    j->policy = *policy;
    j->gatherer.timestamps = policy->timestamps;
    j->was_failing |= was_failing;
    if (!j->begun) return;
    if (!j->writing) publish(j);
    pump(j);
}

void journal_asked_to_finish(struct journal *j, uint64_t number)
{
    j->finishing = true;
    j->finish_number = number;
    j->finish_offset = reader_end(j->reader);
    pump(j);
}

void journal_asked_to_settle(struct journal *j, uint64_t offset)
{
    j->settle_offset = offset + 1;
    pump(j);
}

void journal_end(struct journal *j)
{
    j->ending = j->finishing = true;
    j->finish_offset = reader_end(j->reader);
    reader_find_rings(j->reader); /* one may have been on its way */
    if (!j->files) loop_stop(j->loop);
    pump(j);
}

bool journal_lost_nothing(const struct journal *j)
{
    return j->lost_nothing;
}

struct journal *journal_new(struct loop *loop, struct reader *reader, int slot)
{
    struct journal *j = mem_calloc(1, sizeof(*j));
    j->loop = loop;
    j->reader = reader;
    j->slot = slot;
    j->gatherer.reader = reader;
    j->gatherer.slot = slot;
    j->disk = disk_open(loop, &(struct disk_events){.context = j, .wrote = wrote, .synced = synced});
    if (j->disk) return j;
    int error = errno;
    mem_free(j);
    errno = error;
    return NULL;
}

void journal_report(void *journal)
{
    const struct journal *j = journal;
    crash_print("written: offset %" PRIu64 ", %" PRIu64 " bytes; durable: offset %" PRIu64 ", %" PRIu64 " bytes\n",
                j->written.offset, j->written.bytes, j->durable.offset, j->durable.bytes);
    crash_print("gathered up to %" PRIu64 ", writing: %d, fsync: %d, errors: %d, %d\n", j->gatherer.at, j->writing,
                j->syncing, j->write_error, j->sync_error);
}
