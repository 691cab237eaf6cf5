/* The manifest of an append-only file: its text, its changes, and how it is put on the disk. */
#include "server/aof/manifest_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/alloc.h"
#include "server/base/log.h"

#define PREFIX "appendonly.aof"

static struct aof_manifest *parse(struct bytes text)
{
    struct aof_manifest_fault fault;
    struct aof_manifest *m = aof_manifest_parse(text, &fault);
    cr_assert_not_null(m, "%.*s: %s", (int)text.len, (const char *)text.ptr, fault.reason);
    return m;
}

static void expect_text(const struct aof_manifest *m, const char *text)
{
    struct bytes written = aof_manifest_format(m);
    cr_assert(bytes_equal_text(written, text), "%.*s instead of %s", (int)written.len, (const char *)written.ptr, text);
    mem_free((void *)written.ptr);
}

/* --- text --- */

static const struct {
    struct bytes text;
    const char *written;
} good[] = {
    {BYTES("file a.1.base.rdb seq 1 type b\n"), "file a.1.base.rdb seq 1 type b\n"},
    {BYTES("file i seq 7 type i\nfile h seq 9 type h\nfile b seq 3 type b\n"),
     "file b seq 3 type b\nfile h seq 9 type h\nfile i seq 7 type i\n"},
    {BYTES("# a comment\nfile i seq 1 type i\n#\nfile j seq 5 type i\n"), "file i seq 1 type i\nfile j seq 5 type i\n"},
    {BYTES("# nothing\n"), ""},
    {BYTES("type i FILE a Seq 2\r\n"), "file a seq 2 type i\n"},
    {BYTES(" \tfile\ta seq 2 type i \n"), "file a seq 2 type i\n"},
    {BYTES("file a seq 2 type i later known\n"), "file a seq 2 type i\n"},
    {BYTES("file z file a seq 2 type incremental\n"), "file a seq 2 type i\n"},
    {BYTES("file a seq \" +2nd\" type i\n"), "file a seq 2 type i\n"},
    {BYTES("file a seq -5 type b\n"), "file a seq -5 type b\n"},
    {BYTES("file \"a b\\x21\" seq 1 type i\n"), "file \"a b!\" seq 1 type i\n"},
    {BYTES("file 'a \"b' seq 1 type i\n"), "file \"a \\\"b\" seq 1 type i\n"},
    {BYTES("file a'b' seq 1 type i\n"), "file ab seq 1 type i\n"},
    {BYTES("file same seq 1 type i\nfile same seq 2 type i\n"), "file same seq 1 type i\nfile same seq 2 type i\n"},
};

Test(aof_manifest, what_is_read_is_written_in_its_order)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct aof_manifest *m = parse(good[i].text);
        expect_text(m, good[i].written);
        aof_manifest_free(m);
    }
}

#define BAD_FORMAT "Invalid AOF manifest file format"
#define TOO_LONG   "The AOF manifest file contains too long line"

static const struct {
    struct bytes text;
    unsigned line;
    const char *shown, *reason;
} bad[] = {
    {BYTES(""), 0, "", "Found an empty AOF manifest"},
    {BYTES("\n"), 1, "", BAD_FORMAT},
    {BYTES("file a seq 1 type b\n \r\n"), 2, "", BAD_FORMAT},
    {BYTES("#\n  # b\n"), 2, "# b", BAD_FORMAT},
    {BYTES("file a seq 1 type b"), 0, "", TOO_LONG},
    {BYTES("file a\0b seq 1 type b\n"), 0, "", TOO_LONG},
    {BYTES("file a seq 1 type\n"), 1, "file a seq 1 type", BAD_FORMAT},
    {BYTES("file a seq 1\n"), 1, "file a seq 1", BAD_FORMAT},
    {BYTES("file a seq 1 type b x\n"), 1, "file a seq 1 type b x", BAD_FORMAT},
    {BYTES("fill a seq 1 type b\n"), 1, "fill a seq 1 type b", BAD_FORMAT},
    {BYTES("file a seek 1 type b\n"), 1, "file a seek 1 type b", BAD_FORMAT},
    {BYTES("file a seq 1 tape b\n"), 1, "file a seq 1 tape b", BAD_FORMAT},
    {BYTES("file a seq 0 type b\n"), 1, "file a seq 0 type b", BAD_FORMAT},
    {BYTES("file a seq one type b\n"), 1, "file a seq one type b", BAD_FORMAT},
    {BYTES("file a seq 1 type \"\"\n"), 1, "file a seq 1 type \"\"", BAD_FORMAT},
    {BYTES("file \"\" seq 1 type b\n"), 1, "file \"\" seq 1 type b", BAD_FORMAT},
    {BYTES("file \"a\\x00\" seq 1 type b\n"), 1, "file \"a\\x00\" seq 1 type b", BAD_FORMAT},
    {BYTES("file a seq 9223372036854775807 type b\n"), 1, "file a seq 9223372036854775807 type b", BAD_FORMAT},
    {BYTES("file \"a seq 1 type b\n"), 1, "file \"a seq 1 type b", BAD_FORMAT},
    {BYTES("file a\vseq 1 type b\n"), 1, "file a\vseq 1 type b", BAD_FORMAT},
    {BYTES("*2\r\n$4\r\nfile\r\n$1\r\na\r\n"), 1, "*2", BAD_FORMAT},
    {BYTES("file a seq 1 type x\n"), 1, "file a seq 1 type x", "Unknown AOF file type"},
    {BYTES("file a seq 1 type B\n"), 1, "file a seq 1 type B", "Unknown AOF file type"},
    {BYTES("file ../a seq 1 type b\n"), 1, "file ../a seq 1 type b", "File can't be a path, just a filename"},
    {BYTES("file a\\b seq 1 type b\n"), 1, "file a\\b seq 1 type b", "File can't be a path, just a filename"},
    {BYTES("file a seq 1 type b\nfile b seq 2 type b\n"), 2, "file b seq 2 type b",
     "Found duplicate base file information"},
    {BYTES("file a seq 2 type i\nfile b seq 1 type i\n"), 2, "file b seq 1 type i",
     "Found a non-monotonic sequence number"},
    {BYTES("file a seq 2 type i\nfile b seq 2 type i\n"), 2, "file b seq 2 type i",
     "Found a non-monotonic sequence number"},
    {BYTES("file a seq -1 type i\n"), 1, "file a seq -1 type i", "Found a non-monotonic sequence number"},
};

Test(aof_manifest, what_is_none_is_named_with_its_line)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct aof_manifest_fault fault;
        cr_assert_null(aof_manifest_parse(bad[i].text, &fault), "case %zu", i);
        cr_assert_str_eq(fault.reason, bad[i].reason, "case %zu: %s", i, fault.reason);
        cr_assert_eq(fault.line, bad[i].line, "case %zu: line %u", i, fault.line);
        if (fault.line) cr_assert_str_eq(fault.text, bad[i].shown, "case %zu: '%s'", i, fault.text);
    }
}

/* A line of `len` bytes, end included. */
static struct bytes long_line(char first, size_t len, char out[4096])
{
    memset(out, 'a', len);
    memcpy(out, "file a", 6);
    memcpy(out + len - 14, " seq 1 type h\n", 14);
    out[0] = first;
    return bytes_make(out, len);
}

Test(aof_manifest, lines_have_an_end_in_time)
{
    char text[4096];
    struct aof_manifest_fault fault;
    aof_manifest_free(parse(long_line('f', AOF_MANIFEST_LINE_MAX_BYTES, text)));
    cr_assert_null(aof_manifest_parse(long_line('f', AOF_MANIFEST_LINE_MAX_BYTES + 1, text), &fault));
    cr_assert_str_eq(fault.reason, TOO_LONG);
    aof_manifest_free(parse(long_line('#', AOF_MANIFEST_LINE_MAX_BYTES, text)));
    cr_assert_null(aof_manifest_parse(long_line('#', 2 * AOF_MANIFEST_LINE_MAX_BYTES, text), &fault));
    cr_assert_eq(fault.line, 2, "what is behind a comment's first part is a line of its own");
}

Test(aof_manifest, any_name_can_be_read_again)
{
    static const char *const names[] = {"a b",       "a'b", "a\"b", "#x", "\xc3\xa4", "a\tb\r\n\a\b\x1b\x7f",
                                        "a=b,c;{d}", "'"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct aof_manifest *m = aof_manifest_new();
        aof_manifest_adopt(m, names[i]);
        struct bytes text = aof_manifest_format(m);
        struct aof_manifest *again = parse(text);
        cr_assert_str_eq(aof_manifest_base(again)->name, names[i]);
        mem_free((void *)text.ptr);
        aof_manifest_free(again);
        aof_manifest_free(m);
    }
}

/* --- changes --- */

Test(aof_manifest, a_rewrite_makes_history_of_what_it_replaces)
{
    struct aof_manifest *m = aof_manifest_new();
    aof_manifest_replace_base(m, PREFIX, AOF_BASE_RDB, 0);
    aof_manifest_add_incremental(m, PREFIX);
    expect_text(m, "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n");
    /* Two that failed, and the third. */
    for (int i = 0; i < 3; i++) aof_manifest_add_incremental(m, PREFIX);
    const struct aof_file *base = aof_manifest_replace_base(m, PREFIX, AOF_BASE_COMMANDS, 1);
    cr_assert_str_eq(base->name, "appendonly.aof.2.base.aof");
    expect_text(m, "file appendonly.aof.2.base.aof seq 2 type b\n"
                   "file appendonly.aof.1.incr.aof seq 1 type h\n"
                   "file appendonly.aof.2.incr.aof seq 2 type h\n"
                   "file appendonly.aof.3.incr.aof seq 3 type h\n"
                   "file appendonly.aof.1.base.rdb seq 1 type h\n"
                   "file appendonly.aof.4.incr.aof seq 4 type i\n");
    aof_manifest_add_incremental(m, PREFIX);
    aof_manifest_replace_base(m, PREFIX, AOF_BASE_RDB, 1);
    expect_text(m, "file appendonly.aof.3.base.rdb seq 3 type b\n"
                   "file appendonly.aof.4.incr.aof seq 4 type h\n"
                   "file appendonly.aof.2.base.aof seq 2 type h\n"
                   "file appendonly.aof.1.incr.aof seq 1 type h\n"
                   "file appendonly.aof.2.incr.aof seq 2 type h\n"
                   "file appendonly.aof.3.incr.aof seq 3 type h\n"
                   "file appendonly.aof.1.base.rdb seq 1 type h\n"
                   "file appendonly.aof.5.incr.aof seq 5 type i\n");
    aof_manifest_forget_history(m);
    expect_text(m, "file appendonly.aof.3.base.rdb seq 3 type b\nfile appendonly.aof.5.incr.aof seq 5 type i\n");
    aof_manifest_free(m);
}

Test(aof_manifest, the_one_file_of_old_becomes_the_base)
{
    struct aof_manifest *m = aof_manifest_new();
    aof_manifest_adopt(m, PREFIX);
    aof_manifest_add_incremental(m, PREFIX);
    expect_text(m, "file appendonly.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n");
    aof_manifest_add_incremental(m, PREFIX);
    aof_manifest_replace_base(m, PREFIX, AOF_BASE_RDB, 1);
    aof_manifest_forget_history(m);
    expect_text(m, "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n");
    aof_manifest_free(m);
}

Test(aof_manifest, a_new_file_never_has_the_name_of_one_that_is_to_be_deleted)
{
    struct aof_manifest *m = parse(BYTES("file appendonly.aof.1.base.rdb seq 1 type h\n"
                                         "file appendonly.aof.2.incr.aof seq 2 type h\n"
                                         "file appendonly.aof.1.incr.aof seq 1 type i\n"));
    cr_assert_str_eq(aof_manifest_add_incremental(m, PREFIX)->name, "appendonly.aof.3.incr.aof");
    cr_assert_str_eq(aof_manifest_replace_base(m, PREFIX, AOF_BASE_RDB, 0)->name, "appendonly.aof.2.base.rdb");
    cr_assert_str_eq(aof_manifest_replace_base(m, "other", AOF_BASE_RDB, 0)->name, "other.3.base.rdb");
    aof_manifest_free(m);
    m = parse(BYTES("file a seq -9 type b\n"));
    cr_assert_eq(aof_manifest_replace_base(m, PREFIX, AOF_BASE_RDB, 0)->seq, 1, "0 would not be read again");
    aof_manifest_free(m);
}

Test(aof_manifest, a_copy_is_changed_alone)
{
    struct aof_manifest *m = parse(BYTES("file b seq 1 type b\nfile i seq 1 type i\n"));
    struct aof_manifest *copy = aof_manifest_copy(m);
    aof_manifest_replace_base(copy, "n", AOF_BASE_RDB, 0);
    expect_text(m, "file b seq 1 type b\nfile i seq 1 type i\n");
    expect_text(copy, "file n.2.base.rdb seq 2 type b\nfile i seq 1 type h\nfile b seq 1 type h\n");
    cr_assert_eq(aof_manifest_history(copy).count, 2);
    cr_assert_eq(aof_manifest_incrementals(copy).count, 0);
    aof_manifest_free(m);
    aof_manifest_free(copy);
}

/* --- disk --- */

static char directory[64];

static void make_directory(void)
{
    log_set_level(LOG_NOTHING);
    strcpy(directory, "/tmp/slipstream-manifest.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static const char *in_directory(const char *name)
{
    static char path[PATH_MAX];
    cr_assert_eq(aof_file_path(directory, name, path), 0);
    return path;
}

static void remove_directory(void)
{
    unlink(in_directory(PREFIX ".manifest"));
    rmdir(in_directory("temp-" PREFIX ".manifest"));
    rmdir(directory);
}

TestSuite(aof_manifest_file, .init = make_directory, .fini = remove_directory);

static void expect_stored(const char *text)
{
    char path[PATH_MAX];
    struct aof_manifest *m;
    struct aof_manifest_fault fault;
    cr_assert_eq(aof_manifest_path(directory, PREFIX, path), 0);
    cr_assert_eq(aof_manifest_load(path, &m, &fault), 0);
    expect_text(m, text);
    aof_manifest_free(m);
}

Test(aof_manifest_file, what_is_stored_is_loaded_and_nothing_else_is_left)
{
    struct aof_manifest *m = parse(BYTES("file b seq 1 type b\n"));
    cr_assert_eq(aof_manifest_store(m, directory, PREFIX), 0);
    expect_stored("file b seq 1 type b\n");
    aof_manifest_add_incremental(m, "i");
    cr_assert_eq(aof_manifest_store(m, directory, PREFIX), 0);
    expect_stored("file b seq 1 type b\nfile i.1.incr.aof seq 1 type i\n");
    cr_assert_neq(access(in_directory("temp-" PREFIX ".manifest"), F_OK), 0);
    aof_manifest_free(m);
}

Test(aof_manifest_file, the_old_one_stays_when_the_new_one_cannot_be_stored)
{
    struct aof_manifest *m = parse(BYTES("file b seq 1 type b\n"));
    cr_assert_eq(aof_manifest_store(m, directory, PREFIX), 0);
    cr_assert_eq(mkdir(in_directory("temp-" PREFIX ".manifest"), 0755), 0);
    aof_manifest_add_incremental(m, "i");
    cr_assert_eq(aof_manifest_store(m, directory, PREFIX), -1);
    cr_assert_eq(errno, EISDIR);
    expect_stored("file b seq 1 type b\n");
    aof_manifest_free(m);
}

Test(aof_manifest_file, it_takes_the_place_of_files_only)
{
    struct stat found;
    struct aof_manifest *m = parse(BYTES("file b seq 1 type b\n"));
    cr_assert_eq(mkfifo(in_directory(PREFIX ".manifest"), 0600), 0);
    cr_assert_eq(aof_manifest_store(m, directory, PREFIX), -1);
    cr_assert_eq(errno, EINVAL);
    cr_assert(stat(in_directory(PREFIX ".manifest"), &found) == 0 && S_ISFIFO(found.st_mode));
    aof_manifest_free(m);
}

Test(aof_manifest_file, one_that_could_not_be_read_is_not_stored)
{
    char name[256];
    memset(name, 0xc3, sizeof name - 1);
    name[sizeof name - 1] = 0;
    struct aof_manifest *m = aof_manifest_new();
    aof_manifest_adopt(m, name);
    cr_assert_eq(aof_manifest_store(m, directory, PREFIX), -1);
    cr_assert_eq(errno, EOVERFLOW);
    aof_manifest_free(m);
    m = parse(BYTES("file i seq 4611686018427387904 type i\n"));
    aof_manifest_add_incremental(m, PREFIX);
    cr_assert_eq(aof_manifest_store(m, directory, PREFIX), -1);
    cr_assert_eq(errno, EOVERFLOW);
    aof_manifest_free(m);
    cr_assert_neq(access(in_directory(PREFIX ".manifest"), F_OK), 0);
}

Test(aof_manifest_file, loading_tells_what_is_not_there_from_what_is_wrong)
{
    struct aof_manifest *m;
    struct aof_manifest_fault fault;
    char path[PATH_MAX];
    cr_assert_eq(aof_manifest_path(directory, PREFIX, path), 0);
    cr_assert_eq(aof_manifest_load(path, &m, &fault), -1);
    cr_assert_eq(errno, ENOENT);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(aof_manifest_load(path, &m, &fault), -1);
    cr_assert_eq(errno, 0);
    cr_assert_str_eq(fault.reason, "Found an empty AOF manifest");
}
