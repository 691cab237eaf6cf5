/* redis-check-aof: what it says of good, cut and damaged files, and what it makes of them, beside Debian's. */
#include "tests/harness/client.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(check_aof, .fini = server_finish_all, .timeout = 180);

#define SELECT "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
#define SET_A  "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
#define SET_B  "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n"
#define MULTI  "*1\r\n$5\r\nMULTI\r\n"
#define EXEC   "*1\r\n$4\r\nEXEC\r\n"
#define TS(s)  "#TS:" #s "\r\n"

struct content {
    const char *ptr;
    size_t len;
};

#define RAW(literal)                                                                                                   \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }

/* A file by its name; the first one without a name ends an array. */
struct part {
    const char *name;
    struct content content;
};

#define PARTS_MAX 8

/* --- a directory of files, and the two tools in it --- */

static void write_part(const char *directory, const struct part *part)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", directory, part->name);
    FILE *out = fopen(path, "we");
    cr_assert_not_null(out, "%s", path);
    cr_assert_eq(fwrite(part->content.ptr, 1, part->content.len, out), part->content.len);
    cr_assert_eq(fclose(out), 0);
}

/* Freed by the caller. */
static struct content read_part(const char *directory, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *in = fopen(path, "re");
    cr_assert_not_null(in, "%s", path);
    struct stat info;
    cr_assert_eq(fstat(fileno(in), &info), 0);
    char *data = malloc((size_t)info.st_size + 1);
    size_t got = fread(data, 1, (size_t)info.st_size, in);
    cr_assert_eq(got, (size_t)info.st_size);
    fclose(in);
    return (struct content){data, got};
}

static bool same(struct content a, struct content b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

struct call {
    const char *options[2]; /* "--fix", or "--truncate-to-timestamp" and its argument; NULL: no more */
    const char *file;
    const char *input;
};

static struct process_result run_tool(enum server_kind kind, const char *directory, const struct call *call)
{
    char path[600];
    const char *argv[5] = {server_program(kind, "redis-check-aof")};
    int argc = 1;
    for (int i = 0; i < 2 && call->options[i]; i++) argv[argc++] = call->options[i];
    snprintf(path, sizeof path, "%s/%s", directory, call->file);
    argv[argc] = path;
    return process_run(argv, call->input ? call->input : "");
}

/* --- what may differ --- */

static bool begins(const char *line, const char *text)
{
    return strncmp(line, text, strlen(text)) == 0;
}

/* The head of a log line: "123:C 28 Nov 2026 22:24:16.758 # " */
static const char *behind_log_head(const char *line)
{
    size_t digits = strspn(line, "0123456789");
    if (digits == 0 || !begins(line + digits, ":C ")) return line;
    const char *mark = strstr(line, " # ");
    return mark ? mark + 3 : line;
}

/* In place. Where an RDB is broken is told by redis-check-rdb, which has its own tests; and of a count that the file's
 * end or its length has cut off Redis shows what happens to lie behind it in memory. */
static char *comparable(char *output)
{
    char *out = output, *line = output;
    bool of_broken_rdb = false;
    while (*line) {
        char *end = strchr(line, '\n'), *next = end ? end + 1 : line + strlen(line);
        char *got = strstr(line, "\\r\\n, got: 00");
        const char *from = behind_log_head(line);
        if (got && got < next) memset(got + strlen("\\r\\n, got: "), '?', 4);
        bool skipped = begins(from, "[additional info]") || (of_broken_rdb && begins(from, "[offset"));
        if (begins(from, "--- RDB ERROR DETECTED ---")) of_broken_rdb = true;
        if (!skipped) {
            memmove(out, from, (size_t)(next - from));
            out += next - from;
        }
        line = next;
    }
    *out = '\0';
    return output;
}

static void expect_same_verdict(const char *directory, const struct part *parts, const struct call *call,
                                const char *label)
{
    struct content after[PARTS_MAX];
    for (int i = 0; parts[i].name; i++) write_part(directory, &parts[i]);
    struct process_result debian = run_tool(DEBIAN, directory, call);
    for (int i = 0; parts[i].name; i++) after[i] = read_part(directory, parts[i].name);
    for (int i = 0; parts[i].name; i++) write_part(directory, &parts[i]);
    struct process_result ours = run_tool(OURS, directory, call);
    const char *option = call->options[0] ? call->options[0] : "";
    cr_assert_str_eq(comparable(ours.output), comparable(debian.output), "%s %s:\n%s\n--- instead of ---\n%s", option,
                     label, ours.output, debian.output);
    cr_assert_eq(ours.exit_code, debian.exit_code, "%s %s: %d", option, label, ours.exit_code);
    for (int i = 0; parts[i].name; i++) {
        struct content mine = read_part(directory, parts[i].name);
        cr_assert(same(mine, after[i]), "%s %s: %s has %zu bytes instead of %zu", option, label, parts[i].name,
                  mine.len, after[i].len);
        free((char *)mine.ptr);
        free((char *)after[i].ptr);
    }
    free(ours.output);
    free(debian.output);
}

/* Ours alone: where it is meant to differ. */
static void expect_verdict(const char *directory, struct content content, const struct call *call, int exit_code,
                           const char *text, size_t len)
{
    struct part part = {call->file, content};
    write_part(directory, &part);
    struct process_result ours = run_tool(OURS, directory, call);
    cr_assert(ours.exit_code == exit_code && strstr(ours.output, text), "%d: %s", ours.exit_code, ours.output);
    struct content after = read_part(directory, call->file);
    cr_assert(after.len == len, "%zu bytes", after.len);
    free((char *)after.ptr);
    free(ours.output);
}

/* --- one file --- */

static const struct {
    struct content content;
    bool fix; /* is tried, too */
} files[] = {
    {RAW(""), false},
    {RAW(SELECT SET_A SET_B), true},
    {RAW(SELECT "*0\r\n*-1\r\n*\r\n* +1\r\n$ 1\r\na\r\n" SET_A), false},
    {RAW(SELECT MULTI SET_A "#x\r\n" EXEC SET_B), false},
    {RAW(SELECT "*3\r\n$3\r\nSET\r\n$5\r\nmulti\r\n$0\r\n\r\n"), false},
    {RAW(SELECT "*2\r\n$5\r\nmulti\r\n$1\r\nx\r\n" SET_A), false},
    {RAW("#x\r\n" SELECT "#\n" SET_A "#TS:12"), false},
    /* cut */
    {RAW(SELECT SET_A "*"), true},
    {RAW(SELECT SET_A "*3\r"), false},
    {RAW(SELECT SET_A "*3\r\n"), true},
    {RAW(SELECT SET_A "*3\r\n$3"), false},
    {RAW(SELECT SET_A "*3\r\n$3\r\nSE"), true},
    {RAW(SELECT SET_A "*3\r\n$3\r\nSET"), false},
    {RAW(SELECT SET_A "*3\r\n$3\r\nSET\r\n"), false},
    {RAW("*2\r\n$6\r\nSE"), true},
    {RAW(SELECT SET_A MULTI SET_A SET_B), true},
    {RAW(SELECT MULTI "*3\r\n"), false},
    {RAW(SELECT "#TS:5\r\n" MULTI SET_A "#x\n*1\r\n$4\r\nEX"), true},
    {RAW(SELECT "*1\r\n$999999999\r\na\r\n" SET_A), false},
    /* damaged */
    {RAW("garbage"), true},
    {RAW(SELECT SET_A "garbage\r\n" SET_B), true},
    {RAW(SELECT SET_A "\0\0\0\0\0\0"), true},
    {RAW(SELECT "\r\n" SET_A), false},
    {RAW(SELECT "*3\r\n$4\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n" SET_B), true},
    {RAW(SELECT "*3\r\n:3\r\nSET\r\n" SET_B), false},
    {RAW(SELECT "*99999999999\r\n" SET_A), false},
    {RAW(SELECT "*3x\r\n" SET_A), false},
    {RAW(SELECT "*3\n" SET_A), false},
    {RAW(SELECT "*3\0\r\n" SET_A), false},
    {RAW(SELECT "*-\r\n" SET_A), false},
    {RAW(SELECT "*1\r\n\n"), false},
    {RAW(SELECT "*1\r\n$-1\r\n" SET_A), false},
    {RAW(SELECT "*1\r\n$99999999999999999999\r\na\r\n" SET_A), false},
    {RAW(SELECT "*1\r\n$1\r\naXY" SET_A), false},
    {RAW(SELECT "*000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
                "00000000000000000000000000000000000000000000000000000000001\r\n" SET_A),
     false},
    {RAW(SELECT SET_A MULTI SET_A MULTI SET_B EXEC), true},
    {RAW(SELECT SET_A EXEC SET_B), true},
    {RAW(SELECT MULTI SET_A EXEC EXEC SET_B), false},
    {RAW("REDIS"), false},
    {RAW("REDIS0010"), false},
};

static struct server *directory_only(void)
{
    return server_prepare(OURS, "%s", "");
}

Test(check_aof, one_file)
{
    struct server *box = directory_only();
    char label[32];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct part parts[] = {{"f", files[i].content}, {0}};
        snprintf(label, sizeof label, "file %zu", i);
        expect_same_verdict(box->dir, parts, &(struct call){.file = "f"}, label);
        struct call fix = {.options = {"--fix"}, .file = "f", .input = "y\n"};
        if (files[i].fix) expect_same_verdict(box->dir, parts, &fix, label);
    }
}

Test(check_aof, nothing_is_cut_unless_somebody_agrees)
{
    struct server *box = directory_only();
    static const char *const answers[] = {"n\n", "", "\n", " y\n", "Y\n", "yes\n"};
    struct part parts[] = {{"f", RAW(SELECT SET_A "*3\r\n")}, {0}};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct call fix = {.options = {"--fix"}, .file = "f", .input = answers[i]};
        expect_same_verdict(box->dir, parts, &fix, answers[i]);
    }
}

Test(check_aof, an_annotation_is_of_bounded_length)
{
    struct server *box = directory_only();
    for (size_t len = 1022; len <= 1025; len++) {
        char file[2048];
        memset(file, 'x', len);
        file[0] = '#';
        file[len - 1] = '\n';
        strcpy(file + len, SELECT);
        struct part parts[] = {{"f", {file, strlen(file)}}, {0}};
        expect_same_verdict(box->dir, parts, &(struct call){.file = "f"}, "annotation");
    }
}

/* A string longer than any window. */
Test(check_aof, long_strings_are_passed_over)
{
    struct server *box = directory_only();
    size_t len = 3000000, head;
    char *file = malloc(len + 200);
    head = (size_t)sprintf(file, SELECT "*2\r\n$4\r\nECHO\r\n$%zu\r\n", len);
    memset(file + head, '*', len);
    strcpy(file + head + len, "\r\n" SET_A "*1\r\n");
    struct part parts[] = {{"f", {file, head + len + strlen(file + head + len)}}, {0}};
    expect_same_verdict(box->dir, parts, &(struct call){.file = "f"}, "long string");
    file[head + len + 1] = 'X';
    expect_same_verdict(box->dir, parts, &(struct call){.file = "f"}, "long string without its end");
    free(file);
}

Test(check_aof, a_value_does_not_make_a_manifest_of_a_file)
{
    struct server *box = directory_only();
    struct call call = {.file = "f"};
    struct content named = RAW("#TS:1\r\n" SELECT "*3\r\n$3\r\nSET\r\n$4\r\nfile\r\n$1\r\nx\r\n");
    expect_verdict(box->dir, named, &call, 0, "AOF analyzed", named.len);
}

/* --- the command line --- */

Test(check_aof, the_command_line)
{
    struct server *box = directory_only();
    struct part parts[] = {{"f", RAW(SELECT SET_A)}, {0}};
    static const struct call calls[] = {
        {.file = "none"},
        {.file = "."},
        {.options = {"--fix"}, .file = "none"},
        {.options = {"--fix"}, .file = "."},
        {.options = {"--truncate-to-timestamp", "1"}, .file = "none"},
        {.options = {"--truncate-to-timestamp", "x"}, .file = "f"},
        {.options = {"--truncate-to-timestamp", "1x"}, .file = "f"},
        {.options = {"--truncate-to-timestamp", "99999999999999999999"}, .file = "f"},
        {.options = {"--truncate-to-timestamp", ""}, .file = "f"},
        {.options = {"--truncate-to-timestamp", "0"}, .file = "f"},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        expect_same_verdict(box->dir, parts, &calls[i], calls[i].file);
    static const struct call unusable[] = {
        {.options = {"--fixx"}, .file = "f"},
        {.options = {"--truncate-to-timestamp"}, .file = "f"},
        {.options = {"--fix", "--fix"}, .file = "f"},
    };
    for (size_t i = 0; i < sizeof unusable / sizeof *unusable; i++) {
        struct process_result r = run_tool(OURS, box->dir, &unusable[i]);
        cr_assert(r.exit_code == 1 && begins(r.output, "Usage: "), "%s", r.output);
        free(r.output);
    }
}

/* --- an RDB and what follows it --- */

/* An RDB as Debian writes it, in the box as "base"; freed by the caller. */
static struct content debian_rdb(struct server *box)
{
    struct server *s = server_start(DEBIAN, "%s", "");
    expect_ok(s, "SET key value");
    expect_ok(s, "SELECT 5");
    expect_ok(s, "SET other value EX 10000");
    expect_ok(s, "SAVE");
    server_copy_file(s, box, "dump.rdb");
    server_kill(s);
    return read_part(box->dir, "dump.rdb");
}

static struct content joined(struct content a, size_t keep, const char *tail, size_t tail_len)
{
    char *data = malloc(keep + tail_len + 1);
    memcpy(data, a.ptr, keep);
    memcpy(data + keep, tail, tail_len);
    return (struct content){data, keep + tail_len};
}

Test(check_aof, a_file_may_begin_with_an_rdb)
{
    struct server *box = directory_only();
    struct content rdb = debian_rdb(box);
    static const struct content tails[] = {RAW(""), RAW(SELECT SET_A), RAW(SELECT SET_A "*3\r\n$3\r\nSE"),
                                           RAW("garbage"), RAW(TS(1000) SELECT SET_A)};
    struct call plain = {.file = "f"}, fix = {.options = {"--fix"}, .file = "f", .input = "y"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        struct content whole = joined(rdb, rdb.len, tails[i].ptr, tails[i].len);
        struct part parts[] = {{"f", whole}, {0}};
        expect_same_verdict(box->dir, parts, &plain, "RDB and more");
        expect_same_verdict(box->dir, parts, &fix, "RDB and more");
        free((char *)whole.ptr);
    }
    size_t cuts[] = {7, 8, 9, 60, rdb.len - 9, rdb.len - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct part parts[] = {{"f", {rdb.ptr, cuts[i]}}, {0}};
        expect_same_verdict(box->dir, parts, &plain, "part of an RDB");
    }
    free((char *)rdb.ptr);
}

/* --- several files --- */

#define BASE_LINE  "file a.1.base.rdb seq 1 type b\n"
#define INCR_LINES "file a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n"

struct several {
    const char *manifest, *base, *first, *second; /* of the files NULL: not there */
};

static const struct several directories[] = {
    {BASE_LINE INCR_LINES, SELECT SET_A, SELECT SET_B, SELECT SET_A},
    {INCR_LINES, NULL, SELECT SET_B, SELECT SET_A},
    {BASE_LINE, SELECT SET_A, NULL, NULL},
    {BASE_LINE INCR_LINES "file gone seq 1 type h\n", SELECT SET_A, "", ""},
    {BASE_LINE INCR_LINES, "", "", ""},
    {BASE_LINE INCR_LINES, SELECT SET_A, SELECT SET_B, SELECT "*3\r\n$3"},
    {BASE_LINE INCR_LINES, SELECT SET_A, SELECT SET_B, SELECT MULTI SET_A},
    {BASE_LINE INCR_LINES, SELECT SET_A, SELECT SET_B, SELECT "garbage"},
    {BASE_LINE INCR_LINES, SELECT SET_A, SELECT "*3\r\n", SELECT SET_A},
    {BASE_LINE INCR_LINES, SELECT SET_A, SELECT MULTI SET_A, SELECT SET_A EXEC},
    {BASE_LINE INCR_LINES, SELECT "*3\r\n$3\r\n", SELECT SET_B, SELECT SET_A},
    {BASE_LINE, SELECT "*3\r\n$3\r\n", NULL, NULL},
    {INCR_LINES, NULL, SELECT SET_B, "REDIS0010"},
};

static int parts_of(const struct several *d, struct part parts[PARTS_MAX])
{
    const char *const names[] = {"m", "a.1.base.rdb", "a.1.incr.aof", "a.2.incr.aof"};
    const char *const texts[] = {d->manifest, d->base, d->first, d->second};
    int count = 0;
    for (int i = 0; i < 4; i++)
        if (texts[i]) parts[count++] = (struct part){names[i], {texts[i], strlen(texts[i])}};
    parts[count] = (struct part){0};
    return count;
}

Test(check_aof, several_files)
{
    struct server *box = directory_only();
    char label[32];
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        struct part parts[PARTS_MAX];
        parts_of(&directories[i], parts);
        snprintf(label, sizeof label, "directory %zu", i);
        expect_same_verdict(box->dir, parts, &(struct call){.file = "m"}, label);
        struct call fix = {.options = {"--fix"}, .file = "m", .input = "y\n"};
        expect_same_verdict(box->dir, parts, &fix, label);
    }
}

Test(check_aof, a_file_of_the_manifest_is_missing)
{
    struct several all = {BASE_LINE INCR_LINES, SELECT SET_A, SELECT SET_B, SELECT SET_A};
    for (int missing = 1; missing < 4; missing++) {
        struct server *box = directory_only();
        struct several d = all;
        *(missing == 1 ? &d.base : missing == 2 ? &d.first : &d.second) = NULL;
        struct part parts[PARTS_MAX];
        parts_of(&d, parts);
        expect_same_verdict(box->dir, parts, &(struct call){.file = "m"}, "missing file");
    }
}

static const struct content manifests[] = {
    RAW("# comment\n" BASE_LINE),
    RAW("file a.1.base.rdb SEQ 1 Type base\r\n"),
    RAW("file a.1.incr.aof type i seq 1 more words\n#\n"),
    RAW("file \"a.1.incr.\\x61of\" seq 5 type i\nfile a.2.incr.aof seq 9 type i\n"),
    RAW("file gone seq 3 type h\nfile gone seq 1 type h\n"),
    RAW(BASE_LINE "\n"),
    RAW("\n" BASE_LINE),
    RAW("  # comment\n" BASE_LINE),
    RAW("file a.1.base.rdb seq 1 type b"),
    RAW("file a.1.base.rdb seq 1\n"),
    RAW("file a.1.base.rdb seq 1 type b x\n"),
    RAW("file a.1.base.rdb seq 0 type b\n"),
    RAW("file a.1.base.rdb seq x type b\n"),
    RAW("file a.1.base.rdb seq 1 type x\n"),
    RAW("file a.1.base.rdb seq 1 type \"\"\n"),
    RAW("file ../a seq 1 type b\n"),
    RAW("file \"a\\x2fb\" seq 1 type b\n"),
    RAW("file \"a seq 1 type b\n"),
    RAW("file a.1.base.rdb seq\0 1 type b\n"),
    RAW(BASE_LINE BASE_LINE),
    RAW("file a.2.incr.aof seq 2 type i\nfile a.1.incr.aof seq 1 type i\n"),
    RAW("file a.1.incr.aof seq -1 type i\n"),
    RAW("file\n"),
    RAW("seq 1 type b file a\n"),
    RAW("garbage\n"),
    RAW("# comment\n"),
};

Test(check_aof, manifests)
{
    struct server *box = directory_only();
    char label[32];
    for (size_t i = 0; i < sizeof manifests / sizeof *manifests; i++) {
        struct several d = {"", SELECT SET_A, SELECT SET_B, SELECT SET_A};
        struct part parts[PARTS_MAX];
        parts_of(&d, parts);
        parts[0].content = manifests[i];
        snprintf(label, sizeof label, "manifest %zu", i);
        expect_same_verdict(box->dir, parts, &(struct call){.file = "m"}, label);
    }
}

/* --- timestamps --- */

static const struct several timed[] = {
    {TS(1000) SELECT SET_A TS(2000) SET_B TS(3000) SET_A, NULL, NULL, NULL},
    {SELECT SET_A TS(2000) SET_B "*3\r\n", NULL, NULL, NULL},
    {SELECT SET_A, NULL, NULL, NULL},
    {SELECT SET_A "#TS:\r\n" SET_B "#TS:2000x\r\n", NULL, NULL, NULL},
    {SELECT SET_A "#TS:1000\n" SET_B, NULL, NULL, NULL},
    {SELECT SET_A "#TS:2000", NULL, NULL, NULL},
    {TS(1000) SELECT SET_A TS(3000) SET_B TS(900) SET_A, NULL, NULL, NULL},
    {BASE_LINE INCR_LINES, SELECT SET_A, TS(1000) SELECT SET_A TS(2000) SET_B, TS(3000) SELECT SET_A TS(4000) SET_B},
    {BASE_LINE, TS(1000) SELECT SET_A TS(2000) SET_B, NULL, NULL},
    {BASE_LINE INCR_LINES, TS(1000) SELECT SET_A TS(2000) SET_B, "", ""},
};

Test(check_aof, cut_to_a_timestamp)
{
    struct server *box = directory_only();
    static const char *const moments[] = {"500", "1000", "1999", "2000", "3500", "5000"};
    char label[48];
    for (size_t i = 0; i < sizeof timed / sizeof *timed; i++) {
        struct part parts[PARTS_MAX];
        parts_of(&timed[i], parts);
        for (size_t k = 0; k < sizeof moments / sizeof *moments; k++) {
            struct call call = {.options = {"--truncate-to-timestamp", moments[k]}, .file = "m"};
            snprintf(label, sizeof label, "%s in %zu", moments[k], i);
            expect_same_verdict(box->dir, parts, &call, label);
        }
    }
}

Test(check_aof, a_timestamp_within_a_transaction_cuts_before_it)
{
    struct server *box = directory_only();
    struct call call = {.options = {"--truncate-to-timestamp", "1000"}, .file = "f"};
    struct content content = RAW(SELECT SET_A MULTI SET_A TS(2000) SET_B EXEC);
    expect_verdict(box->dir, content, &call, 0, "Successfully truncated AOF", strlen(SELECT SET_A));
}

/* --- what servers write --- */

/* Rewritten twice, with transactions and timestamps, and killed. */
static struct server *written_directory(enum server_kind kind, const char *config)
{
    struct server *s = server_start(kind, "appendonly yes\naof-timestamp-enabled yes\n%s", config);
    for (int round = 0; round < 3; round++) {
        fill(s, "key:", 100 + round, 20);
        expect_ok(s, "MULTI");
        command_text(s, "INCR counter");
        command_text(s, "LPUSH list %d", round);
        redisReply *r = try_command(s, "EXEC");
        cr_assert(r && r->type == REDIS_REPLY_ARRAY);
        freeReplyObject(r);
        if (round == 2) break;
        expect_status(s, "Background append only file rewriting started", "BGREWRITEAOF");
        wait_until(info_is(s, "persistence", "aof_rewrite_in_progress", "0") &&
                   info_is(s, "persistence", "aof_rewrite_scheduled", "0"));
    }
    pid_t journal = kind == OURS ? server_wait_journal(s) : 0;
    server_kill(s);
    wait_until(!journal || !process_alive(journal));
    return s;
}

static void expect_same_verdict_of_directory(struct server *s)
{
    char path[600];
    struct part parts[PARTS_MAX] = {0};
    int count = 0;
    snprintf(path, sizeof path, "%s/appendonlydir", s->dir);
    DIR *d = opendir(path);
    cr_assert_not_null(d, "%s", path);
    for (struct dirent *entry; (entry = readdir(d));)
        if (entry->d_name[0] != '.' && count < PARTS_MAX - 1)
            parts[count++] = (struct part){strdup(entry->d_name), read_part(path, entry->d_name)};
    closedir(d);
    cr_assert_eq(count, 3, "%d files", count);
    expect_same_verdict(path, parts, &(struct call){.file = "appendonly.aof.manifest"}, "a directory of a server's");
    for (int i = 0; i < count; i++)
        if (strstr(parts[i].name, "incr")) parts[i].content.len -= 5;
    struct call fix = {.options = {"--fix"}, .file = "appendonly.aof.manifest", .input = "y"};
    expect_same_verdict(path, parts, &fix, "a directory of a server's, cut");
    for (int i = 0; i < count; i++) {
        free((char *)parts[i].name);
        free((char *)parts[i].content.ptr);
    }
}

Test(check_aof, a_directory_of_debians)
{
    expect_same_verdict_of_directory(written_directory(DEBIAN, ""));
}

Test(check_aof, a_directory_of_debians_without_rdb)
{
    expect_same_verdict_of_directory(written_directory(DEBIAN, "aof-use-rdb-preamble no"));
}

/* Bases, incrementals with annotations, and a cut that goes through an annotation: Debian's tool takes them as ours. */
Test(check_aof, a_directory_of_ours)
{
    expect_same_verdict_of_directory(written_directory(OURS, ""));
}

Test(check_aof, a_directory_of_ours_without_rdb)
{
    expect_same_verdict_of_directory(written_directory(OURS, "aof-use-rdb-preamble no"));
}
