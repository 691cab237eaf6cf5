/* A file read through a window of fixed size, whatever is in it, and what is said of it in the words of Redis's tool.
 * Checker. */
#include "server/aof/check_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rdb/snapshot.h"
#include "server/aof/annotation.h"
#include "server/aof/scan.h"
#include "server/base/alloc.h"
#include "server/base/check.h"

#define WINDOW_BYTES ((size_t)256 * 1024)

struct checking {
    const struct aof_check_order *order;
    const struct aof_checked_file *file;
    int fd;
    uint64_t size;
    uint64_t *line;
    struct aof_scan *scan;
    uint8_t *window;
    size_t start, end; /* unread bytes stand in start..end of the window */
};

/* --- cutting --- */

static bool cut(struct checking *c, uint64_t offset)
{
    if (ftruncate(c->fd, (off_t)offset) == 0 && fsync(c->fd) == 0) return true;
    printf("Failed to truncate AOF %s: %s\n", c->file->name, strerror(errno));
    return false;
}

static bool agreed(void)
{
    printf("Continue? [y/N]: ");
    fflush(stdout);
    int answer = getchar();
    return answer == 'y' || answer == 'Y';
}

static enum aof_check_outcome cut_broken_end(struct checking *c, uint64_t valid)
{
    const char *name = c->file->name;
    if (!c->order->fix) {
        printf("AOF %s is not valid. Use the --fix option to try fixing it.\n", name);
        return AOF_CHECK_FAILED;
    }
    if (!c->file->is_last) {
        printf("Failed to truncate AOF %s because it is not the last file\n", name);
        return AOF_CHECK_FAILED;
    }
    printf("This will shrink the AOF %s from %llu bytes, with %llu bytes, to %llu bytes\n", name,
           (unsigned long long)c->size, (unsigned long long)(c->size - valid), (unsigned long long)valid);
    if (!agreed()) {
        printf("Aborting...\n");
        return AOF_CHECK_FAILED;
    }
    return cut(c, valid) ? AOF_CHECK_CUT : AOF_CHECK_FAILED;
}

static enum aof_check_outcome cut_to_timestamp(struct checking *c, uint64_t offset)
{
    long long timestamp = c->order->timestamp;
    if (offset == 0) {
        printf("AOF %s has nothing before timestamp %lld, aborting...\n", c->file->path, timestamp);
        return AOF_CHECK_FAILED;
    }
    if (!c->file->is_last) {
        printf("Failed to truncate AOF %s to timestamp %lld to offset %llu because it is not the last file.\n",
               c->file->path, timestamp, (unsigned long long)offset);
        printf("If you insist, please delete all files after this file according to the manifest file and delete the "
               "corresponding records in manifest file manually. Then re-run redis-check-aof.\n");
        return AOF_CHECK_FAILED;
    }
    return cut(c, offset) ? AOF_CHECK_CUT_TO_TIMESTAMP : AOF_CHECK_FAILED;
}

/* --- records --- */

static void print_fault(const struct checking *c)
{
    const struct aof_fault *fault = aof_scan_fault(c->scan);
    char text[AOF_FAULT_TEXT_BYTES + strlen(c->file->name)];
    if (fault->kind == AOF_FAULT_NONE) return;
    aof_fault_text(fault, c->file->name, text, sizeof text);
    if (fault->kind == AOF_FAULT_TYPE)
        printf("%s\n", text);
    else
        printf("0x%16llx: %s\n", (unsigned long long)fault->offset, text);
}

static enum aof_check_outcome judge(struct checking *c, enum aof_scan_status status)
{
    uint64_t valid = aof_scan_valid_offset(c->scan);
    if (status != AOF_SCAN_END) print_fault(c);
    if (status == AOF_SCAN_END && c->order->timestamp) {
        printf("Truncate nothing in AOF %s to timestamp %lld\n", c->file->name, (long long)c->order->timestamp);
        return AOF_CHECK_VALID;
    }
    printf("AOF analyzed: filename=%s, size=%llu, ok_up_to=%llu, ok_up_to_line=%llu, diff=%llu\n", c->file->name,
           (unsigned long long)c->size, (unsigned long long)valid, (unsigned long long)aof_scan_line(c->scan),
           (unsigned long long)(c->size - valid));
    return status == AOF_SCAN_END ? AOF_CHECK_VALID : cut_broken_end(c, valid);
}

/* True: the file's fate is decided. */
static bool judge_annotation(struct checking *c, enum aof_check_outcome *outcome)
{
    const struct aof_record *record = aof_scan_record(c->scan);
    int64_t seconds;
    if (!c->order->timestamp) return false;
    switch (aof_read_timestamp(record->raw, &seconds)) {
    case AOF_TIMESTAMP_NONE: return false;
    case AOF_TIMESTAMP_BAD:
        printf("Invalid timestamp annotation\n");
        *outcome = AOF_CHECK_FAILED;
        return true;
    case AOF_TIMESTAMP_READ: break;
    }
    if (seconds <= c->order->timestamp) return false;
    /* Within a transaction, where Redis writes none, the cut comes before its MULTI. */
    uint64_t valid = aof_scan_valid_offset(c->scan);
    *outcome = cut_to_timestamp(c, record->offset < valid ? record->offset : valid);
    return true;
}

/* Once more as many bytes as the scan wants. Without arguments they always fit. */
static bool fill_window(struct checking *c)
{
    size_t here = c->end - c->start;
    memmove(c->window, c->window + c->start, here);
    c->start = 0;
    c->end = here;
    CHECK(aof_scan_wanted(c->scan) <= WINDOW_BYTES);
    while (c->end < aof_scan_wanted(c->scan)) {
        ssize_t got = read(c->fd, c->window + c->end, WINDOW_BYTES - c->end);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            printf("Error reading file %s: %s\n", c->file->name, got < 0 ? strerror(errno) : "it has become shorter");
            return false;
        }
        c->end += (size_t)got;
    }
    return true;
}

static enum aof_check_outcome check_records(struct checking *c)
{
    enum aof_check_outcome outcome = AOF_CHECK_FAILED;
    for (;;) {
        size_t consumed;
        enum aof_scan_status status = aof_scan_feed(c->scan, c->window + c->start, c->end - c->start, &consumed);
        c->start += consumed;
        switch (status) {
        case AOF_SCAN_COMMAND: continue;
        case AOF_SCAN_ANNOTATION:
            if (judge_annotation(c, &outcome)) return outcome;
            continue;
        case AOF_SCAN_MORE:
            if (!fill_window(c)) return outcome;
            continue;
        case AOF_SCAN_END:
        case AOF_SCAN_CUT:
        case AOF_SCAN_BAD: return judge(c, status);
        }
    }
}

/* From offset on, where the descriptor may be anywhere. */
static enum aof_check_outcome check_records_from(struct checking *c, uint64_t offset)
{
    if (lseek(c->fd, (off_t)offset, SEEK_SET) < 0) {
        printf("Error reading file %s: %s\n", c->file->name, strerror(errno));
        return AOF_CHECK_FAILED;
    }
    struct aof_scan_options options = {.offset = offset, .size = c->size, .line = *c->line};
    c->scan = aof_scan_new(&options);
    c->window = mem_alloc(WINDOW_BYTES);
    enum aof_check_outcome outcome = check_records(c);
    *c->line = aof_scan_line(c->scan);
    mem_free(c->window);
    aof_scan_free(c->scan);
    return outcome;
}

/* --- the file --- */

static bool has_rdb(const struct checking *c)
{
    uint8_t head[AOF_HEAD_BYTES];
    ssize_t got = c->file->may_have_rdb ? pread(c->fd, head, sizeof head, 0) : 0;
    return got > 0 && aof_begins_with_rdb(bytes_make(head, (size_t)got));
}

static enum aof_check_outcome check_open_file(struct checking *c)
{
    uint64_t offset = 0;
    if (c->size == 0) return AOF_CHECK_EMPTY;
    if (has_rdb(c)) {
        printf("[offset 0] Checking RDB file %s\n", c->file->name);
        if (!rdb_check_fd(c->fd, c->size, &offset)) {
            printf("RDB preamble of AOF file is not sane, aborting.\n");
            return AOF_CHECK_FAILED;
        }
        printf("RDB preamble is OK, proceeding with AOF tail...\n");
    }
    return check_records_from(c, offset);
}

/* Reading is enough for whoever only looks. */
static int open_regular(const char *path, bool will_cut, uint64_t *size)
{
    struct stat info;
    int fd = open(path, (will_cut ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0) return -1;
    if (fstat(fd, &info) == 0 && !S_ISDIR(info.st_mode)) {
        *size = (uint64_t)info.st_size;
        return fd;
    }
    int error = S_ISDIR(info.st_mode) ? EISDIR : errno;
    close(fd);
    errno = error;
    return -1;
}

enum aof_check_outcome aof_check_file(const struct aof_check_order *order, const struct aof_checked_file *file,
                                      uint64_t *line)
{
    struct checking c = {.order = order, .file = file, .line = line};
    c.fd = open_regular(file->path, file->is_last && (order->fix || order->timestamp), &c.size);
    if (c.fd < 0) {
        printf("Cannot open file %s: %s, aborting...\n", file->path, strerror(errno));
        return AOF_CHECK_FAILED;
    }
    enum aof_check_outcome outcome = check_open_file(&c);
    close(c.fd);
    return outcome;
}
