/* Append-only files as they may lie there: what is loaded of them, said of them, and made of them, beside Debian's. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A situation says what it has, and leaves out the rest. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

TestSuite(aof_load, .fini = server_finish_all, .timeout = 180);

#define SELECT     "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
#define SELECT_3   "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
#define SET(key)   "*3\r\n$3\r\nSET\r\n$1\r\n" key "\r\n$1\r\nv\r\n" /* 27 bytes */
#define CUT_SET(k) "*3\r\n$3\r\nSET\r\n$1\r\n" k "\r\n$1\r"
#define MULTI      "*1\r\n$5\r\nMULTI\r\n"
#define EXEC       "*1\r\n$4\r\nEXEC\r\n"

#define BASE "appendonlydir/appendonly.aof.1.base.aof"
#define INCR "appendonlydir/appendonly.aof.1.incr.aof"
#define NEXT "appendonlydir/appendonly.aof.2.incr.aof"
#define LIST "appendonlydir/appendonly.aof.manifest"
#define OLD  "appendonly.aof"

#define LINE_BASE "file appendonly.aof.1.base.aof seq 1 type b\n"
#define LINE_INCR "file appendonly.aof.1.incr.aof seq 1 type i\n"
#define LINE_NEXT "file appendonly.aof.2.incr.aof seq 2 type i\n"
#define USUAL     LINE_BASE LINE_INCR

struct file {
    const char *name; /* NULL: no more */
    const char *text;
};

#define FILES_MAX 4

struct situation {
    const char *label;
    struct file files[FILES_MAX + 1];
    const char *config; /* NULL: nothing more */
};

/* --- files --- */

static void write_bytes(const struct server *s, const char *name, const void *data, size_t len)
{
    char path[512];
    server_path(s, name, path);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    mkdir(path, 0755);
    *slash = '/';
    FILE *out = fopen(path, "we");
    cr_assert_not_null(out, "%s", path);
    cr_assert_eq(fwrite(data, 1, len, out), len);
    cr_assert_eq(fclose(out), 0);
}

/* Freed by the caller; NULL: there is no such file. */
static char *read_text(const char *path, size_t *len)
{
    FILE *in = fopen(path, "re");
    if (!in) return NULL;
    struct stat status;
    cr_assert_eq(fstat(fileno(in), &status), 0);
    char *text = malloc((size_t)status.st_size + 1);
    *len = fread(text, 1, (size_t)status.st_size, in);
    text[*len] = '\0';
    fclose(in);
    return text;
}

static long size_of(const struct server *s, const char *name)
{
    char path[512];
    struct stat status;
    server_path(s, name, path);
    return stat(path, &status) == 0 ? (long)status.st_size : -1;
}

static struct server *prepare(enum server_kind kind, const struct situation *what)
{
    struct server *s = server_prepare(kind, "appendonly yes\n%s", what->config ? what->config : "");
    for (const struct file *f = what->files; f->name; f++) write_bytes(s, f->name, f->text, strlen(f->text));
    return s;
}

/* --- what is said --- */

static const char *behind_head(const char *line)
{
    const char *mark = strstr(line, " * "), *warning = strstr(line, " # ");
    if (!mark || (warning && warning < mark)) mark = warning;
    return mark ? mark + 3 : line;
}

/* What begins with one of these stands beside what is compared: how writing goes on, and how long it took. */
static bool is_of_interest(const char *line)
{
    static const char *const words[] = {"AOF",     "append only", "append-only", "Unknown command", "Fatal",
                                        "Unable ", "Reading the", ">>>",         "duplicate",       "CRITICAL"};
    static const char *const others[] = {"on server start", "fsync()", "history file", "Directive"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strstr(line, others[i])) return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(line, words[i])) return true;
    return false;
}

/* Freed by the caller. */
static char *what_was_said(const struct server *s)
{
    size_t len = 0, used = 0;
    char *log = read_text(s->log, &len), *said = calloc(1, len + 1);
    cr_assert_not_null(log);
    for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
        const char *text = behind_head(line);
        if (!is_of_interest(text)) continue;
        char *seconds = strstr(line, "seconds");
        if (seconds) strcpy(seconds - strlen("0.000 "), "N seconds");
        used += (size_t)sprintf(said + used, "%s\n", text);
    }
    free(log);
    return said;
}

/* --- the two servers --- */

static void expect_same_file(const struct server *ours, const struct server *debian, const char *name,
                             const char *label)
{
    cr_assert_eq(size_of(ours, name), size_of(debian, name), "%s: %s has %ld bytes, not %ld", label, name,
                 size_of(ours, name), size_of(debian, name));
}

static void expect_same_outcome(const struct situation *what, bool starts)
{
    struct server *pair[2] = {prepare(OURS, what), prepare(DEBIAN, what)};
    char *said[2];
    const char *digest[2] = {"", ""};
    for (int i = 0; i < 2; i++) {
        if (starts) {
            server_launch(pair[i]);
            wait_until(info_is(pair[i], "persistence", "loading", "0"));
            digest[i] = command_text(pair[i], "DEBUG DIGEST");
            server_kill(pair[i]);
        } else {
            cr_assert_eq(server_launch_in_vain(pair[i]), 1, "%s", what->label);
        }
        said[i] = what_was_said(pair[i]);
    }
    cr_assert_str_eq(said[0], said[1], "%s:\n%s--- instead of ---\n%s", what->label, said[0], said[1]);
    cr_assert_str_eq(digest[0], digest[1], "%s", what->label);
    for (const struct file *f = what->files; f->name; f++)
        if (strcmp(f->name, LIST) != 0) expect_same_file(pair[0], pair[1], f->name, what->label);
    for (int i = 0; i < 2; i++) free(said[i]);
}

static const struct situation loaded[] = {
    {"base and incrementals",
     {{LIST, USUAL LINE_NEXT}, {BASE, SELECT SET("z")}, {INCR, SELECT_3 SET("a") SET("b")}, {NEXT, SELECT SET("c")}}},
    {"the second file begins in database 0",
     {{LIST, LINE_INCR LINE_NEXT}, {INCR, SELECT_3 SET("a")}, {NEXT, SET("b")}}},
    {"empty files", {{LIST, USUAL}, {BASE, ""}, {INCR, ""}}},
    {"a cut tail", {{LIST, USUAL}, {BASE, SET("z")}, {INCR, SET("a") CUT_SET("b")}}},
    {"all of it is cut", {{LIST, LINE_INCR}, {INCR, CUT_SET("a")}}},
    {"a cut count", {{LIST, LINE_INCR}, {INCR, SET("a") "*3"}}},
    {"the base alone, cut", {{LIST, LINE_BASE}, {BASE, SET("a") CUT_SET("b")}}},
    {"an open transaction", {{LIST, LINE_INCR}, {INCR, SET("a") MULTI SET("b") SET("c")}}},
    {"a transaction", {{LIST, LINE_INCR}, {INCR, SET("a") MULTI SET("b") SET("c") EXEC SET("d")}}},
    {"a transaction in another", {{LIST, LINE_INCR}, {INCR, MULTI SET("b") MULTI SET("c") EXEC SET("d")}}},
    {"EXEC alone", {{LIST, LINE_INCR}, {INCR, SET("a") EXEC SET("d")}}},
    {"DISCARD is but one more of a transaction", {{LIST, LINE_INCR}, {INCR, MULTI SET("b") "*1\r\n$7\r\nDISCARD\r\n"}}},
    {"lines that end in a line feed", {{LIST, LINE_INCR}, {INCR, "*3\n$3\nSET\r\n$1\nb\r\n$1\r\nv\r\n" SET("c")}}},
    {"strings that end in anything", {{LIST, LINE_INCR}, {INCR, "*3\r\n$3\r\nSETxx$1\r\nbyy$1\r\nvzz" SET("c")}}},
    {"annotations", {{LIST, LINE_INCR}, {INCR, "#TS:1700000000\r\n" SET("a") "#x\n" SET("b")}}},
    {"what is expired is there for what follows",
     {{LIST, LINE_INCR},
      {INCR, SET("a") "*3\r\n$9\r\nPEXPIREAT\r\n$1\r\na\r\n$4\r\n1000\r\n"
                      "*3\r\n$6\r\nAPPEND\r\n$1\r\na\r\n$1\r\nx\r\n*2\r\n$7\r\nPERSIST\r\n$1\r\na\r\n"}}},
    {"no manifest", {{"appendonlydir/other", ""}}},
    {"comments alone", {{LIST, "# nothing\n"}}},
    {"the file of 6.2", {{OLD, SELECT SET("a")}}},
    {"the cut file of 6.2", {{OLD, SET("a") CUT_SET("b")}}},
    {"the file of 6.2, being taken over", {{OLD, SET("a")}, {LIST, "file appendonly.aof seq 1 type b\n"}}},
    {"the file of 6.2 has been taken over",
     {{OLD, SET("a")}, {LIST, "file appendonly.aof seq 1 type b\n"}, {"appendonlydir/appendonly.aof", SET("n")}}},
    {"the file of 6.2 beside a manifest", {{OLD, SET("a")}, {LIST, LINE_INCR}, {INCR, SET("b")}}},
    {"under other names", {{"old.aof", SET("a")}}, "appendfilename old.aof\nappenddirname files"},
};

static const struct situation refused[] = {
    {"cut, and not to be cut", {{LIST, LINE_INCR}, {INCR, SET("a") CUT_SET("b")}}, "aof-load-truncated no"},
    {"open, and not to be cut", {{LIST, LINE_INCR}, {INCR, SET("a") MULTI SET("b")}}, "aof-load-truncated no"},
    {"no record", {{LIST, LINE_INCR}, {INCR, SET("a") "garbage\r\n" SET("b")}}},
    {"no number", {{LIST, LINE_INCR}, {INCR, SET("a") "*x\r\n$3\r\nSET\r\n"}}},
    {"another prefix", {{LIST, LINE_INCR}, {INCR, SET("a") "*3\r\n$3\r\nSET\r\n+1\r\nk\r\n" SET("b")}}},
    {"a command of nothing", {{LIST, LINE_INCR}, {INCR, SET("a") "*0\r\n" SET("b")}}},
    {"an annotation within a command", {{LIST, LINE_INCR}, {INCR, "*3\r\n#x\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\nv\r\n"}}},
    {"an unknown command", {{LIST, LINE_INCR}, {INCR, SET("a") "*1\r\n$4\r\nNONE\r\n" SET("b")}}},
    {"an unknown command in a transaction", {{LIST, LINE_INCR}, {INCR, MULTI "*1\r\n$4\r\nNONE\r\n" EXEC}}},
    {"an unknown subcommand", {{LIST, LINE_INCR}, {INCR, "*2\r\n$6\r\nXGROUP\r\n$4\r\nNONE\r\n"}}},
    {"an empty manifest", {{LIST, ""}}},
    {"a type unheard of", {{LIST, "file appendonly.aof.1.base.aof seq 1 type x\n"}}},
    {"no pairs", {{LIST, "hello\n"}}},
    {"two bases", {{LIST, "file a seq 1 type b\nfile b seq 2 type b\n"}}},
    {"the base is missing", {{LIST, USUAL}, {INCR, SET("a")}}},
    {"an incremental is missing", {{LIST, USUAL}, {BASE, SET("a")}}},
    {"the directory is a file", {{"appendonlydir", ""}}},
};

Test(aof_load, what_debian_loads_is_loaded)
{
    for (size_t i = 0; i < sizeof loaded / sizeof *loaded; i++) expect_same_outcome(&loaded[i], true);
}

Test(aof_load, what_debian_refuses_is_refused)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) expect_same_outcome(&refused[i], false);
}

/* --- an RDB at the beginning --- */

/* An RDB of Debian's with the key r. Freed by the caller. */
static char *make_rdb(size_t *len)
{
    char path[512];
    struct server *s = server_start(DEBIAN, "%s", "");
    expect_ok(s, "SET r 1");
    expect_ok(s, "SAVE");
    server_path(s, "dump.rdb", path);
    char *rdb = read_text(path, len);
    cr_assert_not_null(rdb);
    server_kill(s);
    return rdb;
}

static void write_behind_rdb(const struct server *s, const char *name, const char *rdb, size_t len, const char *text)
{
    char *whole = malloc(len + strlen(text));
    memcpy(whole, rdb, len);
    memcpy(whole + len, text, strlen(text));
    write_bytes(s, name, whole, len + strlen(text));
    free(whole);
}

static char *load_behind_rdb(enum server_kind kind, const char *name, const char *list, const char *rdb, size_t len,
                             const char *text)
{
    struct server *s = server_prepare(kind, "appendonly yes");
    write_behind_rdb(s, name, rdb, len, text);
    if (list) write_bytes(s, LIST, list, strlen(list));
    server_launch(s);
    wait_until(info_is(s, "persistence", "loading", "0"));
    expect_string(s, "1", "GET r");
    expect_string(s, "v", "GET a");
    expect_integer(s, 2, "DBSIZE");
    server_kill(s);
    return what_was_said(s);
}

static void expect_same_behind_rdb(const char *name, const char *list, const char *rdb, size_t len, const char *text)
{
    char *ours = load_behind_rdb(OURS, name, list, rdb, len, text);
    char *debian = load_behind_rdb(DEBIAN, name, list, rdb, len, text);
    cr_assert_str_eq(ours, debian, "%s:\n%s--- instead of ---\n%s", name, ours, debian);
    free(ours);
    free(debian);
}

Test(aof_load, commands_behind_an_rdb)
{
    size_t len = 0;
    char *rdb = make_rdb(&len);
    static const char list[] = "file appendonly.aof.1.base.rdb seq 1 type b\n";
    expect_same_behind_rdb("appendonlydir/appendonly.aof.1.base.rdb", list, rdb, len, SELECT SET("a"));
    expect_same_behind_rdb(OLD, NULL, rdb, len, SELECT SET("a"));
    expect_same_behind_rdb(OLD, NULL, rdb, len, SELECT SET("a") CUT_SET("b"));
    struct server *s = server_prepare(OURS, "appendonly yes");
    write_bytes(s, OLD, rdb, len - 9); /* no checksum, nor the end before it */
    cr_assert_eq(server_launch_in_vain(s), 1);
    free(rdb);
}

/* --- where we part from Debian's --- */

static void expect_start_fails(const struct situation *what, const char *reason)
{
    struct server *s = prepare(OURS, what);
    cr_assert_eq(server_launch_in_vain(s), 1, "%s", what->label);
    cr_assert(server_log_has(s, 0, reason), "%s", what->label);
    for (const struct file *f = what->files; f->name; f++)
        cr_assert_eq(size_of(s, f->name), (long)strlen(f->text), "%s: %s was changed", what->label, f->name);
}

Test(aof_load, only_the_last_file_is_ever_cut)
{
    static const char reason[] = "Fatal error: the truncated file is not the last file";
    expect_start_fails(&(struct situation){"base", {{LIST, USUAL}, {BASE, SET("a") CUT_SET("b")}, {INCR, SET("c")}}},
                       reason);
    expect_start_fails(
        &(struct situation){"transaction over two files",
                            {{LIST, LINE_INCR LINE_NEXT}, {INCR, SET("a") MULTI SET("b")}, {NEXT, SET("c") EXEC}}},
        reason);
}

Test(aof_load, cut_within_a_transaction_nothing_of_it_stays)
{
    struct situation what = {"cut", {{LIST, LINE_INCR}, {INCR, SET("a") MULTI SET("b") CUT_SET("c")}}};
    struct server *s = prepare(OURS, &what);
    server_launch(s);
    cr_assert(server_log_has(s, 0, "Revert incomplete MULTI/EXEC transaction in AOF file appendonly.aof.1.incr.aof"));
    cr_assert(server_log_has(s, 0, "!!! Truncating the AOF appendonly.aof.1.incr.aof at offset 27 !!!"));
    expect_string(s, "v", "GET a");
    expect_integer(s, 1, "DBSIZE");
    expect_ok(s, "SET d w");
    server_stop(s);
    server_restart(s); /* the file is whole, and goes on behind what was cut */
    expect_string(s, "w", "GET d");
    expect_integer(s, 2, "DBSIZE");
}

/* What Redis appends there belongs to the annotation, and the file is broken. */
Test(aof_load, what_comes_behind_an_annotation_without_an_end_is_not_lost)
{
    struct situation what = {"annotation", {{LIST, LINE_INCR}, {INCR, SELECT SET("a") "#TS:17"}}};
    struct server *s = prepare(OURS, &what);
    server_launch(s);
    expect_ok(s, "SET b w");
    server_stop(s);
    server_restart(s);
    expect_string(s, "v", "GET a");
    expect_string(s, "w", "GET b");
}

/* Redis goes on and writes into the database before. */
Test(aof_load, a_database_that_is_not_there_ends_the_load)
{
    struct situation what = {"SELECT", {{LIST, LINE_INCR}, {INCR, SELECT SET("a") SELECT_3 SET("b")}}, "databases 3"};
    expect_start_fails(&what, "its command select names DB 3, and there are only 3 databases here");
}

Test(aof_load, arguments_that_do_not_fit_end_the_load)
{
    struct situation what = {"arity", {{LIST, LINE_INCR}, {INCR, SET("a") "*2\r\n$6\r\nAPPEND\r\n$1\r\na\r\n"}}};
    expect_start_fails(&what, "Wrong number of arguments for 'append' reading the append only file "
                              "appendonly.aof.1.incr.aof");
}

Test(aof_load, commands_that_are_no_data_are_passed_over)
{
    struct situation what = {"no data",
                             {{LIST, LINE_INCR},
                              {INCR, "*2\r\n$8\r\nSHUTDOWN\r\n$6\r\nNOSAVE\r\n"
                                     "*1\r\n$7\r\nMONITOR\r\n*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n"
                                     "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"
                                     "*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n" SET("a")}}};
    struct server *s = prepare(OURS, &what);
    server_launch(s);
    expect_string(s, "v", "GET a");
    expect_integer(s, 0, "PUBLISH c x");
    cr_assert_eq(info_number(s, "stats", "unexpected_error_replies"), 0);
    cr_assert_str_eq(info_text(s, "commandstats", "cmdstat_set"), ""); /* what is loaded is not counted */
}

/* As Redis wrote them before 7 where it was told to: what they lead to is in no file,
 * and in no stream a second time. */
Test(aof_load, scripts_and_functions_are_run_and_not_written_again)
{
#define SCRIPT  "redis.call('set','k',ARGV[1]) redis.call('rpush','l','x')"
#define LIBRARY "#!lua name=lib\nredis.register_function('f', function() return redis.call('incr','n') end)"
    char text[1024];
    size_t len = (size_t)snprintf(text, sizeof text, "*4\r\n$4\r\nEVAL\r\n$%zu\r\n%s\r\n$1\r\n0\r\n$1\r\nv\r\n",
                                  strlen(SCRIPT), SCRIPT);
    len += (size_t)snprintf(text + len, sizeof text - len, "*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n$%zu\r\n%s\r\n",
                            strlen(LIBRARY), LIBRARY);
    snprintf(text + len, sizeof text - len, "*3\r\n$5\r\nFCALL\r\n$1\r\nf\r\n$1\r\n0\r\n");
    struct situation what = {"scripts", {{BASE, SELECT}, {INCR, text}, {LIST, USUAL}}};
    struct server *s = prepare(OURS, &what);
    server_launch(s);
    expect_string(s, "v", "GET k");
    expect_integer(s, 1, "LLEN l");
    expect_string(s, "1", "GET n");
    server_restart(s);
    expect_integer(s, 1, "LLEN l");
    expect_string(s, "1", "GET n");
    expect_integer(s, 2, "FCALL f 0");
}

Test(aof_load, errors_are_told)
{
    struct situation what = {"WRONGTYPE",
                             {{LIST, LINE_INCR}, {INCR, SET("a") "*3\r\n$5\r\nLPUSH\r\n$1\r\na\r\n$1\r\nx\r\n"}}};
    struct server *s = prepare(OURS, &what);
    server_launch(s);
    expect_string(s, "v", "GET a");
    cr_assert(server_log_has(s, 0,
                             "AOF-loading-client: 'WRONGTYPE Operation against a key holding the wrong kind of "
                             "value' after processing the command 'lpush'"));
}

/* --- while it lasts, and around it --- */

Test(aof_load, clients_are_answered_meanwhile)
{
    enum { COMMANDS = 400 };
    static const char set[] = SET("a");
    char *text = malloc(COMMANDS * strlen(set) + 1), *at = text;
    for (int i = 0; i < COMMANDS; i++) at = stpcpy(at, set);
    struct situation what = {"slow", {{LIST, LINE_INCR}, {INCR, text}}, "key-load-delay 5000"};
    struct server *s = prepare(OURS, &what);
    server_launch(s);
    expect_error(s, "LOADING Redis is loading the dataset in memory", "GET a");
    expect_error(s, "LOADING Redis is loading the dataset in memory", "SET a x");
    cr_assert_eq(info_number(s, "persistence", "loading"), 1);
    cr_assert_eq(info_number(s, "persistence", "loading_total_bytes"), (long long)strlen(text));
    wait_until(info_number(s, "persistence", "loading_loaded_bytes") > 0);
    expect_ok(s, "CONFIG SET key-load-delay 0");
    wait_until(info_is(s, "persistence", "loading", "0"));
    expect_string(s, "v", "GET a");
    free(text);
}

Test(aof_load, a_shutdown_ends_the_load)
{
    char text[40 * 27 + 1], *at = text;
    for (int i = 0; i < 40; i++) at = stpcpy(at, SET("a"));
    struct situation what = {"slow", {{LIST, LINE_INCR}, {INCR, text}}, "key-load-delay 100000"};
    struct server *s = prepare(OURS, &what);
    server_launch(s);
    server_stop(s);
    cr_assert(!server_log_has(s, 0, "DB loaded from append only file"));
    cr_assert_eq(size_of(s, INCR), (long)strlen(text));
}

/* As in Redis; but we say so. */
Test(aof_load, a_snapshot_without_an_append_only_file_is_not_loaded)
{
    struct server *s = server_start(OURS, "adopt-backlog no");
    expect_ok(s, "SET a 1");
    expect_ok(s, "SAVE");
    server_kill(s);
    server_add_config(s, "appendonly yes");
    server_restart(s);
    expect_integer(s, 0, "DBSIZE");
    cr_assert(server_log_has(s, 0, "dump.rdb is not loaded: appendonly is yes"));
}

/* Without its server the journal writes what was published. Whoever loads before it is through has not all of it. */
Test(aof_load, a_journal_without_a_server_is_waited_for)
{
    struct server *s = server_start(OURS, "appendonly yes\nappendfsync no\nadopt-backlog no");
    pid_t journal = server_wait_journal(s);
    cr_assert_gt(journal, 0);
    kill(journal, SIGSTOP);
    fill(s, "key:", 100, 100);
    server_kill(s);
    long mark = server_log_end(s);
    server_launch(s);
    expect_error(s, "LOADING Redis is loading the dataset in memory", "GET key:1");
    server_wait_log(s, mark, "Waiting for the journal of the server before us");
    kill(journal, SIGCONT);
    wait_until(info_is(s, "persistence", "loading", "0"));
    expect_integer(s, 100, "DBSIZE");
}

Test(aof_load, debug_loadaof_reads_what_was_written)
{
    struct server *s = server_start(OURS, "appendonly yes\nappendfsync no");
    fill(s, "key:", 100, 100);
    expect_ok(s, "SELECT 3");
    expect_ok(s, "SET a 1");
    char digest[64];
    snprintf(digest, sizeof digest, "%s", command_text(s, "DEBUG DIGEST"));
    for (int i = 0; i < 2; i++) {
        expect_ok(s, "DEBUG LOADAOF");
        cr_assert_str_eq(command_text(s, "DEBUG DIGEST"), digest);
    }
    expect_ok(s, "SET a 2");
    expect_ok(s, "DEBUG LOADAOF");
    expect_string(s, "2", "GET a");
    struct server *without = server_start(OURS, "%s", "");
    expect_error(without, "ERR The append only file is disabled", "DEBUG LOADAOF");
}

Test(aof_load, replicas_of_a_restarted_master_come_back_by_a_partial_resync)
{
    struct server *master = server_start(OURS, "appendonly yes");
    struct server *replica = server_start(OURS, "replicaof 127.0.0.1 %d", master->port);
    wait_in_step(replica, master);
    for (int i = 0; i < 2; i++) {
        fill(master, i ? "more:" : "key:", 100, 100);
        wait_in_step(replica, master);
        server_stop(master);
        server_launch(master);
        expect_same_data(replica, master);
        cr_assert_eq(sync_counts(master).full, 0);
        cr_assert_eq(sync_counts(master).partial, 1);
    }
}

/* Its dataset is its master's as of the offset that its own file tells. */
Test(aof_load, a_restarted_replica_goes_on_by_a_partial_resync)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *replica = server_start(OURS, "appendonly yes\nreplicaof 127.0.0.1 %d", master->port);
    wait_in_step(replica, master);
    expect_ok(master, "SELECT 5");
    fill(master, "key:", 100, 100);
    wait_in_step(replica, master);
    wait_until(info_number(replica, "persistence", "aof_rewrites") > 0); /* until then the file is of the data before */
    struct sync_counts before = sync_counts(master);
    server_stop(replica);
    fill(master, "more:", 100, 100);
    server_launch(replica);
    expect_same_data(replica, master);
    expect_syncs(master, before, 0, 1);
}
