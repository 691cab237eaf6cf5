/* redis-check-aof: says whether an append-only file is whole, and cuts off its broken or too young end if asked to.
 * Checker, a process of its own. Words, order of checks and exit codes are those of Redis's tool,
 * with these differences:
 *
 * - A file is no manifest when a command or an RDB comes before its first line that begins with "file". Redis's tool
 *   takes an append-only file with such a value for a manifest, and finds it broken.
 * - A file that is only looked at need not be writable, and one that has been cut is synced.
 * - A cut to a timestamp within a transaction comes before its MULTI. */
#include "server/aof/check.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rdb/format.h"
#include "server/aof/check_file.h"
#include "server/aof/manifest_file.h"
#include "server/aof/scan.h"
#include "server/base/alloc.h"
#include "server/base/log.h"

struct check {
    struct aof_check_order order;
    const char *path; /* as given */
    uint64_t line;
};

/* title: "", "BASE " or "INCR ". */
static bool check_file(struct check *check, const char *title, const struct aof_checked_file *file)
{
    switch (aof_check_file(&check->order, file, &check->line)) {
    case AOF_CHECK_VALID: printf("%sAOF %s is valid\n", title, file->name); return true;
    case AOF_CHECK_EMPTY: printf("%sAOF %s is empty\n", title, file->name); return true;
    case AOF_CHECK_CUT: printf("Successfully truncated AOF %s\n", file->name); return true;
    case AOF_CHECK_CUT_TO_TIMESTAMP:
        printf("Successfully truncated AOF %s to timestamp %lld\n", file->name, (long long)check->order.timestamp);
        return true;
    case AOF_CHECK_FAILED: break;
    }
    return false;
}

/* --- several files and their manifest --- */

/* 0: it does not. -1: it cannot be read, as printed. */
static int begins_with_rdb(const char *path)
{
    uint8_t head[AOF_HEAD_BYTES];
    FILE *in = fopen(path, "re");
    if (!in) {
        printf("Cannot open file %s: %s\n", path, strerror(errno));
        return -1;
    }
    size_t got = fread(head, 1, sizeof head, in);
    fclose(in);
    return aof_begins_with_rdb(bytes_make(head, got));
}

static bool locate(const char *directory, const char *name, char path[PATH_MAX])
{
    if (aof_file_path(directory, name, path) == 0) return true;
    printf("Cannot open file %s: %s\n", name, strerror(errno));
    return false;
}

static bool check_base(struct check *check, const char *directory, const char *name, bool is_last)
{
    char path[PATH_MAX];
    if (!locate(directory, name, path)) return false;
    int rdb = begins_with_rdb(path);
    if (rdb < 0) return false;
    printf("Start to check BASE AOF (%s format).\n", rdb ? "RDB" : "RESP");
    struct aof_checked_file file = {path, name, .may_have_rdb = true, .is_last = is_last};
    return check_file(check, "BASE ", &file);
}

static bool check_incrementals(struct check *check, const char *directory, struct aof_files files)
{
    char path[PATH_MAX];
    printf("Start to check INCR files.\n");
    for (size_t i = 0; i < files.count; i++) {
        const char *name = files.file[i].name;
        if (!locate(directory, name, path)) return false;
        struct aof_checked_file file = {path, name, .may_have_rdb = false, .is_last = i + 1 == files.count};
        if (!check_file(check, "INCR ", &file)) return false;
    }
    return true;
}

static bool check_files(struct check *check, const char *directory, const struct aof_manifest *m)
{
    const struct aof_file *base = aof_manifest_base(m);
    struct aof_files incrementals = aof_manifest_incrementals(m);
    if (base && !check_base(check, directory, base->name, incrementals.count == 0)) return false;
    if (incrementals.count && !check_incrementals(check, directory, incrementals)) return false;
    printf("All AOF files and manifest are valid\n");
    return true;
}

static bool check_multi_part(struct check *check)
{
    struct aof_manifest *m;
    struct aof_manifest_fault fault;
    printf("Start checking Multi Part AOF\n");
    if (aof_manifest_load(check->path, &m, &fault) != 0) {
        if (errno)
            printf("Cannot open file %s: %s\n", check->path, strerror(errno));
        else
            aof_manifest_log_fault(&fault);
        return false;
    }
    char *copy = mem_strdup(check->path);
    bool good = check_files(check, dirname(copy), m);
    mem_free(copy);
    aof_manifest_free(m);
    return good;
}

/* --- one file --- */

static bool check_old_style(struct check *check)
{
    printf("Start checking Old-Style AOF\n");
    struct aof_checked_file file = {check->path, check->path, .may_have_rdb = true, .is_last = true};
    return check_file(check, "", &file);
}

/* --- which of them --- */

enum shape { SHAPE_UNREADABLE, SHAPE_OLD_STYLE, SHAPE_MULTI_PART };

static enum shape shape_of(FILE *in)
{
    char line[AOF_MANIFEST_LINE_MAX_BYTES + 1];
    while (fgets(line, sizeof line, in)) {
        if (strncmp(line, "file", 4) == 0) return SHAPE_MULTI_PART;
        if (line[0] == '*' || aof_begins_with_rdb(bytes_from_text(line))) return SHAPE_OLD_STYLE;
    }
    return ferror(in) ? SHAPE_UNREADABLE : SHAPE_OLD_STYLE;
}

static bool check_path(struct check *check)
{
    FILE *in = fopen(check->path, "re");
    if (!in) {
        printf("Cannot open file %s: %s\n", check->path, strerror(errno));
        return false;
    }
    enum shape shape = shape_of(in);
    fclose(in);
    switch (shape) {
    case SHAPE_MULTI_PART: return check_multi_part(check);
    case SHAPE_OLD_STYLE: return check_old_style(check);
    case SHAPE_UNREADABLE: break;
    }
    printf("Cannot read file: %s\n", check->path);
    return false;
}

/* --- the command line --- */

static bool read_timestamp(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *out = value;
    return errno == 0 && *end == 0;
}

int aof_check_main(int argc, char **argv)
{
    struct check check = {.line = 1};
    setvbuf(stdout, NULL, _IOLBF, 0); /* in order with what the log writes */
    log_set_role('C');
    if (argc == 2 && (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0)) {
        printf("redis-check-aof %s\n", RDB_WRITER_VERSION);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--fix") == 0) {
        check.order.fix = true;
    } else if (argc == 4 && strcmp(argv[1], "--truncate-to-timestamp") == 0) {
        if (!read_timestamp(argv[2], &check.order.timestamp)) {
            printf("Invalid timestamp, aborting...\n");
            return 1;
        }
    } else if (argc != 2) {
        printf("Usage: %s [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>\n", argv[0]);
        return 1;
    }
    check.path = argv[argc - 1];
    return check_path(&check) ? 0 : 1;
}
