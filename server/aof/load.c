/* See load.h. Server process.
 *
 * A file is read through a window, and its commands are handed over in batches, so that the host can fetch what they
 * touch from memory ahead of running them. A batch's arguments point into the window: it is handed over before the
 * window moves. */
#include "server/aof/load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/aof/annotation.h"
#include "server/aof/manifest_file.h"
#include "server/aof/take_over.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/file_window.h"
#include "server/base/log.h"

#define BATCH 32

/* Commands that wait to be handed over. Their arguments stand one behind the other, which may move as they grow: until
 * then a record knows the first one's place. */
struct batch {
    struct aof_record records[BATCH];
    size_t first[BATCH];
    size_t count;
    struct bytes *arguments;
    size_t used, capacity;
};

struct file {
    const char *name;
    char path[PATH_MAX];
    bool is_base, is_last;
    int fd;
    uint64_t size;
    uint64_t valid_bytes;
};

struct load {
    const struct aof_settings *settings;
    const struct aof_load_host *host;
    struct aof_loaded *loaded;
    uint64_t bytes_before; /* of the files before this one */
    struct file_window window;
    struct batch batch;
    struct aof_position position, before_transaction; /* in the stream */
};

/* --- commands on their way to the host --- */

static bool asked_to_stop(const struct load *l, uint64_t file_bytes)
{
    return l->host->turn(l->host->context, l->bytes_before + file_bytes) != 0;
}

static enum aof_load_outcome hand_over(struct load *l, uint64_t file_bytes)
{
    struct batch *b = &l->batch;
    if (b->count == 0) return AOF_LOAD_GOOD;
    for (size_t i = 0; i < b->count; i++) b->records[i].argv = b->arguments + b->first[i];
    int result = l->host->run(l->host->context, b->records, b->count);
    b->count = b->used = 0;
    if (asked_to_stop(l, file_bytes)) return AOF_LOAD_STOPPED;
    return result == 0 ? AOF_LOAD_GOOD : AOF_LOAD_FAILED;
}

static void keep(struct batch *b, const struct aof_record *record)
{
    if (b->capacity - b->used < record->argc) {
        b->capacity = (b->used + record->argc) * 2;
        b->arguments = mem_realloc(b->arguments, b->capacity * sizeof *b->arguments);
    }
    memcpy(b->arguments + b->used, record->argv, record->argc * sizeof *b->arguments);
    b->records[b->count] = *record;
    b->first[b->count++] = b->used;
    b->used += record->argc;
}

/* --- a file's end --- */

static enum aof_load_outcome failed_to_read(const struct file *f)
{
    log_warning("Unrecoverable error reading the append only file %s: %s", f->name, strerror(errno));
    return AOF_LOAD_FAILED;
}

static enum aof_load_outcome bad_format(const struct file *f)
{
    log_warning("Bad file format reading the append only file %s: make a backup of your AOF file, then use "
                "./redis-check-aof --fix <filename.manifest>",
                f->name);
    return AOF_LOAD_FAILED;
}

static int cut_off(const char *path, uint64_t bytes)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = ftruncate(fd, (off_t)bytes) == 0 ? fsync(fd) : -1;
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

/* Its machine died while it grew. */
static enum aof_load_outcome end_early(struct load *l, struct file *f)
{
    if (!l->settings->load_truncated) {
        log_warning("Unexpected end of file reading the append only file %s. You can: 1) Make a backup of your AOF "
                    "file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the "
                    "'aof-load-truncated' configuration option to yes and restart the server.",
                    f->name);
        return AOF_LOAD_FAILED;
    }
    log_warning("!!! Warning: short read while loading the AOF file %s!!!", f->name);
    if (!f->is_last) {
        log_warning("Fatal error: the truncated file is not the last file");
        return AOF_LOAD_FAILED;
    }
    log_warning("!!! Truncating the AOF %s at offset %llu !!!", f->name, (unsigned long long)f->valid_bytes);
    if (cut_off(f->path, f->valid_bytes) != 0) {
        log_warning("Error truncating the AOF file %s: %s", f->name, strerror(errno));
        return AOF_LOAD_FAILED;
    }
    log_warning("AOF %s loaded anyway because aof-load-truncated is enabled", f->name);
    return AOF_LOAD_GOOD;
}

/* --- records --- */

/* One without its end is the file's last: what is appended behind it would belong to it. */
static void pass_annotation(struct load *l, struct file *f, const struct aof_scan *scan)
{
    const struct aof_record *record = aof_scan_record(scan);
    bool whole = record->raw.len > 0 && record->raw.ptr[record->raw.len - 1] == '\n';
    if (!whole) return;
    f->valid_bytes = aof_scan_valid_offset(scan);
    aof_position_read(&l->position, record->raw);
}

static void pass_command(struct load *l, struct file *f, const struct aof_scan *scan)
{
    const struct aof_record *record = aof_scan_record(scan);
    if (record->kind == AOF_COMMAND_MULTI) l->before_transaction = l->position;
    aof_position_pass_command(&l->position, record->raw.len);
    keep(&l->batch, record);
    f->valid_bytes = aof_scan_valid_offset(scan);
}

static enum aof_load_outcome load_piece(struct load *l, struct file *f, struct aof_scan *scan,
                                        enum aof_scan_status status)
{
    enum aof_load_outcome outcome = AOF_LOAD_GOOD;
    if (status == AOF_SCAN_COMMAND) {
        pass_command(l, f, scan);
        if (l->batch.count < BATCH) return AOF_LOAD_GOOD;
    }
    outcome = hand_over(l, f->valid_bytes);
    if (outcome == AOF_LOAD_GOOD && status == AOF_SCAN_ANNOTATION) pass_annotation(l, f, scan);
    return outcome;
}

static void revert_transaction(struct load *l, const struct file *f)
{
    log_warning("Revert incomplete MULTI/EXEC transaction in AOF file %s", f->name);
    l->position = l->before_transaction;
}

static enum aof_load_outcome load_records(struct load *l, struct file *f, struct aof_scan *scan)
{
    struct file_window *w = &l->window;
    for (;;) {
        struct bytes unread = file_window_unread(w);
        size_t consumed;
        enum aof_scan_status status = aof_scan_feed(scan, unread.ptr, unread.len, &consumed);
        file_window_consume(w, consumed);
        enum aof_load_outcome outcome = load_piece(l, f, scan, status);
        if (outcome != AOF_LOAD_GOOD) return outcome;
        switch (status) {
        case AOF_SCAN_COMMAND:
        case AOF_SCAN_ANNOTATION: break;
        case AOF_SCAN_MORE:
            if (file_window_fill(w, f->fd, aof_scan_wanted(scan)) != 0) return failed_to_read(f);
            break;
        case AOF_SCAN_END: return AOF_LOAD_GOOD;
        case AOF_SCAN_BAD: return bad_format(f);
        case AOF_SCAN_CUT:
            if (aof_scan_is_in_transaction(scan)) revert_transaction(l, f);
            return end_early(l, f);
        }
    }
}

/* --- the RDB at a file's beginning --- */

static enum aof_load_outcome load_rdb(struct load *l, struct file *f, struct aof_rdb *rdb)
{
    uint8_t head[AOF_HEAD_BYTES];
    ssize_t here = pread(f->fd, head, sizeof head, 0);
    *rdb = (struct aof_rdb){.db = -1};
    if (here < 0) return failed_to_read(f);
    if (!aof_begins_with_rdb(bytes_make(head, (size_t)here))) return AOF_LOAD_GOOD;
    bool is_old_form = f->is_base && strcmp(f->name, l->settings->filename) == 0;
    log_notice(is_old_form ? "Reading RDB preamble from AOF file..." : "Reading RDB base file on AOF loading...");
    if (l->host->load_rdb(l->host->context, f->fd, f->name, f->size, rdb) != 0) {
        if (asked_to_stop(l, 0)) return AOF_LOAD_STOPPED;
        log_warning("Error reading the RDB preamble of the AOF file %s, AOF loading aborted", f->name);
        return AOF_LOAD_FAILED;
    }
    if (is_old_form) log_notice("Reading the remaining AOF tail...");
    if (lseek(f->fd, (off_t)rdb->bytes, SEEK_SET) < 0) return failed_to_read(f);
    return AOF_LOAD_GOOD;
}

static void take_position(struct load *l, const struct aof_rdb *rdb)
{
    bool known = rdb->id[0] && rdb->offset >= 0;
    l->position =
        (struct aof_position){.known = known, .second_offset = -1, .offset = known ? (uint64_t)rdb->offset : 0};
    memcpy(l->position.id, rdb->id, sizeof l->position.id);
}

/* --- a file --- */

static enum aof_load_outcome load_open_file(struct load *l, struct file *f)
{
    struct aof_rdb rdb;
    enum aof_load_outcome outcome = load_rdb(l, f, &rdb);
    if (outcome != AOF_LOAD_GOOD) return outcome;
    struct aof_scan_options options = {.offset = rdb.bytes, .size = f->size, .arguments = true, .as_server = true};
    struct aof_scan *scan = aof_scan_new(&options);
    file_window_restart(&l->window);
    f->valid_bytes = rdb.bytes;
    if (rdb.bytes) take_position(l, &rdb);
    aof_position_begin_file(&l->position);
    outcome = load_records(l, f, scan);
    aof_scan_free(scan);
    l->host->end_file(l->host->context);
    return outcome;
}

static enum aof_load_outcome load_file(struct load *l, struct file *f)
{
    int64_t started_us = clock_monotonic_us();
    if (f->size == 0) return AOF_LOAD_GOOD;
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0) {
        log_warning("Fatal error: can't open the append log file %s for reading: %s", f->name, strerror(errno));
        return AOF_LOAD_FAILED;
    }
    posix_fadvise(f->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    l->host->begin_file(l->host->context, f->name);
    enum aof_load_outcome outcome = load_open_file(l, f);
    close(f->fd);
    if (outcome == AOF_LOAD_GOOD)
        log_notice("DB loaded from %s file %s: %.3f seconds", f->is_base ? "base" : "incr", f->name,
                   (double)(clock_monotonic_us() - started_us) / 1e6);
    return outcome;
}

/* --- all of them --- */

static int stat_file(struct load *l, const struct aof_file *file, struct file *out)
{
    struct stat status;
    out->name = file->name;
    if (aof_file_path(l->settings->directory, file->name, out->path) == 0 && stat(out->path, &status) == 0) {
        out->size = (uint64_t)status.st_size;
        return 0;
    }
    log_warning("Unable to obtain the AOF file %s length. stat: %s", file->name, strerror(errno));
    return -1;
}

static enum aof_load_outcome load_files(struct load *l, struct file *files, size_t count)
{
    struct aof_loaded *loaded = l->loaded;
    for (size_t i = 0; i < count; i++) {
        struct file *f = &files[i];
        f->is_last = i + 1 == count;
        enum aof_load_outcome outcome = load_file(l, f);
        if (outcome != AOF_LOAD_GOOD) return outcome;
        l->bytes_before += f->size;
        loaded->total_bytes += f->valid_bytes;
        if (f->is_base)
            loaded->base_bytes = f->valid_bytes;
        else
            loaded->last_file_bytes = f->valid_bytes;
    }
    return AOF_LOAD_GOOD;
}

static enum aof_load_outcome load_manifest_files(struct load *l)
{
    const struct aof_manifest *m = l->loaded->manifest;
    const struct aof_file *base = aof_manifest_base(m);
    struct aof_files incrementals = aof_manifest_incrementals(m);
    struct file *files = mem_calloc(incrementals.count + 1, sizeof *files);
    size_t count = 0;
    uint64_t total = 0;
    int missing = 0;
    if (base) {
        files[count].is_base = true;
        missing = stat_file(l, base, &files[count++]);
    }
    for (size_t i = 0; i < incrementals.count && !missing; i++)
        missing = stat_file(l, &incrementals.file[i], &files[count++]);
    for (size_t i = 0; i < count; i++) total += files[i].size;
    enum aof_load_outcome outcome = AOF_LOAD_FAILED;
    if (!missing) {
        l->host->begin(l->host->context, total);
        outcome = load_files(l, files, count);
    }
    mem_free(files);
    return outcome;
}

static bool names_no_file(const struct aof_manifest *m)
{
    return !aof_manifest_base(m) && aof_manifest_incrementals(m).count == 0;
}

/* 0; -1: logged. *out is NULL where there is no manifest. */
static int find_manifest(const struct aof_settings *settings, struct aof_manifest **out)
{
    char path[PATH_MAX];
    struct aof_manifest_fault fault;
    *out = NULL;
    if (aof_manifest_path(settings->directory, settings->filename, path) != 0 ||
        aof_manifest_load(path, out, &fault) != 0) {
        int error = errno;
        if (error == 0) aof_manifest_log_fault(&fault);
        if (error == ENOTDIR)
            log_warning("Can't open or create append-only dir %s: %s", settings->directory, strerror(error));
        else if (error != 0 && error != ENOENT)
            log_warning("Fatal error: can't open the AOF manifest file %s for reading: %s", path, strerror(error));
        if (error != ENOENT) return -1;
    }
    if (aof_take_over_old_file(settings, out) != 0) return -1;
    return 0;
}

static void tell_position(const struct aof_position *p, struct aof_loaded *out)
{
    out->history_known = p->known;
    if (!p->known) return;
    memcpy(out->id, p->id, sizeof out->id);
    memcpy(out->second_id, p->second_id, sizeof out->second_id);
    out->second_offset = p->second_offset;
    out->offset = p->offset;
}

enum aof_load_outcome aof_load(const struct aof_settings *settings, const struct aof_load_host *host,
                               struct aof_loaded *out)
{
    int64_t started_us = clock_monotonic_us();
    struct load l = {.settings = settings, .host = host, .loaded = out};
    *out = (struct aof_loaded){.second_offset = -1, .db = -1};
    if (find_manifest(settings, &out->manifest) != 0) return AOF_LOAD_FAILED;
    if (!out->manifest || names_no_file(out->manifest)) return AOF_LOAD_ABSENT;
    file_window_init(&l.window);
    enum aof_load_outcome outcome = load_manifest_files(&l);
    file_window_free(&l.window);
    mem_free(l.batch.arguments);
    if (outcome == AOF_LOAD_GOOD) tell_position(&l.position, out);
    if (outcome == AOF_LOAD_GOOD)
        log_notice("DB loaded from append only file: %.3f seconds", (double)(clock_monotonic_us() - started_us) / 1e6);
    return outcome;
}

void aof_loaded_free(struct aof_loaded *loaded)
{
    aof_manifest_free(loaded->manifest);
    loaded->manifest = NULL;
}
