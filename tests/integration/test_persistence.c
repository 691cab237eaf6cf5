/* The RDB file: to a real Redis and back, through a stop, and against damage. */
#include "tests/harness/client.h"
#include "tests/harness/raw.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(persistence, .fini = server_finish_all, .timeout = 180);

/* Strings of every encoding, in several databases, with and without an end. */
static void write_variety(struct server *s)
{
    static const int databases[] = {0, 1, 9};
    for (int d = 0; d < 3; d++) {
        expect_ok(s, "SELECT %d", databases[d]);
        fill(s, "plain:", 3000, 16);
        fill(s, "compressible:", 50, 20000);
        for (int i = 0; i < 200; i++) {
            expect_ok(s, "SET number:%d %d", i, (i - 100) * 7919 * (i % 3 ? 1 : 300));
            expect_ok(s, "SET ends:%d soon EX %d", i, 1000 + i);
        }
        expect_ok(s, "SET empty %s", "");
        expect_ok(s, "SET %b %b", "\0\r\n\xff", (size_t)4, "\xfe\0binary", (size_t)8);
        for (int i = 1; i < 70; i++) { /* lengths around every boundary of the format */
            char value[20000];
            size_t len = i < 35 ? 60 + i : 16370 + i - 35;
            for (size_t k = 0; k < len; k++) value[k] = (char)(k * k * 31 + i);
            expect_ok(s, "SET length:%d %b", i, value, len);
        }
        expect_ok(s, "SET huge 9223372036854775807");
        expect_ok(s, "SET low -9223372036854775808");
        expect_ok(s, "SET zeros 007");
    }
    expect_ok(s, "SELECT 0");
}

static void expect_file_moves(enum server_kind from_kind, enum server_kind to_kind, const char *config)
{
    struct server *from = server_start(from_kind, "%s", config);
    write_variety(from);
    expect_ok(from, "SAVE");
    struct server *to = server_prepare(to_kind, "%s", config);
    server_copy_file(from, to, "dump.rdb");
    server_launch(to);
    wait_until(info_is_if_there(to, "persistence", "loading", "0"));
    cr_assert_str_eq(command_text(to, "DEBUG DIGEST"), command_text(from, "DEBUG DIGEST"));
    long long left_s = command_integer(to, "TTL ends:5");
    cr_assert(left_s > 900 && left_s <= 1005, "TTL %lld", left_s);

    char file[512];
    server_path(from, "dump.rdb", file);
    for (enum server_kind kind = OURS; kind <= DEBIAN; kind++) {
        const char *argv[] = {server_program(kind, "redis-check-rdb"), file, NULL};
        struct process_result r = process_run(argv, NULL);
        cr_assert(r.exit_code == 0 && strstr(r.output, "RDB looks OK"), "%s", r.output);
        free(r.output);
    }
}

Test(persistence, ours_to_ours)
{
    expect_file_moves(OURS, OURS, "");
}
Test(persistence, ours_to_debian)
{
    expect_file_moves(OURS, DEBIAN, "");
}
Test(persistence, debian_to_ours)
{
    expect_file_moves(DEBIAN, OURS, "");
}
Test(persistence, ours_to_debian_uncompressed)
{
    expect_file_moves(OURS, DEBIAN, "rdbcompression no");
}
Test(persistence, debian_to_ours_uncompressed)
{
    expect_file_moves(DEBIAN, OURS, "rdbcompression no");
}
Test(persistence, ours_to_debian_without_checksum)
{
    expect_file_moves(OURS, DEBIAN, "rdbchecksum no");
}
Test(persistence, debian_to_ours_without_checksum)
{
    expect_file_moves(DEBIAN, OURS, "rdbchecksum no");
}

Test(persistence, sigterm_saves)
{
    struct server *s = server_start(OURS, "save 3600 1");
    expect_ok(s, "SET kept yes");
    server_stop(s);
    server_launch(s);
    expect_string(s, "yes", "GET kept");
    expect_ok(s, "SET lost yes");
    expect_ok(s, "CONFIG SET save %s", "");
    server_stop(s);
    server_launch(s);
    expect_string(s, "yes", "GET kept");
    expect_nil(s, "GET lost");
}

static int shutdown_with(struct server *s, const char *option)
{
    redisReply *r = try_command(s, "SHUTDOWN %s", option);
    if (r) harness_fail("SHUTDOWN %s: %s", option, r->str);
    int status = process_wait(s->pid, PATIENCE_MS);
    s->pid = 0;
    return status;
}

Test(persistence, shutdown_obeys_its_options)
{
    struct server *s = server_start(OURS, "save 3600 1");
    expect_ok(s, "SET a 1");
    cr_assert_eq(shutdown_with(s, "NOSAVE"), 0);
    server_launch(s);
    expect_nil(s, "GET a");
    expect_ok(s, "CONFIG SET save %s", "");
    expect_ok(s, "SET b 1");
    cr_assert_eq(shutdown_with(s, "SAVE"), 0);
    server_launch(s);
    expect_string(s, "1", "GET b");
}

Test(persistence, bgsave)
{
    struct server *s = server_start(OURS, "rdb-key-save-delay 200");
    fill(s, "key:", 2000, 100);
    const char *before = command_text(s, "DEBUG DIGEST");
    long mark = server_log_end(s);
    expect_status(s, "Background saving started", "BGSAVE");
    expect_error(s, "ERR Background save already in progress", "BGSAVE");
    cr_assert_eq(info_number(s, "persistence", "rdb_bgsave_in_progress"), 1);
    fill(s, "later:", 2000, 100); /* none of these may be in the file */
    expect_integer(s, 1, "DEL key:7");
    wait_until(info_is(s, "persistence", "rdb_bgsave_in_progress", "0"));
    cr_assert_str_eq(info_text(s, "persistence", "rdb_last_bgsave_status"), "ok");
    cr_assert(server_log_has(s, mark, "Background saving started by pid"));
    cr_assert(server_log_has(s, mark, "Background saving terminated with success"));
    cr_assert_eq(command_integer(s, "LASTSAVE"), info_number(s, "persistence", "rdb_last_save_time"));

    struct server *other = server_prepare(DEBIAN, "%s", "");
    server_copy_file(s, other, "dump.rdb");
    server_launch(other);
    cr_assert_str_eq(command_text(other, "DEBUG DIGEST"), before);
}

/* That signal says that a snapshot is not wanted any more: none has failed. */
Test(persistence, a_child_that_is_told_to_go_is_no_failed_save)
{
    for (enum server_kind kind = OURS; kind <= DEBIAN; kind++) {
        struct server *s = server_start(kind, "rdb-key-save-delay 1000000");
        pid_t child;
        fill(s, "key:", 1000, 10);
        expect_status(s, "Background saving started", "BGSAVE");
        wait_until((child = server_snapshot_pid(s)) != 0);
        kill(child, SIGUSR1);
        wait_until(info_is(s, "persistence", "rdb_bgsave_in_progress", "0"));
        cr_expect_str_eq(info_text(s, "persistence", "rdb_last_bgsave_status"), "ok");
    }
}

Test(persistence, save_points)
{
    struct server *s = server_start(OURS, "save 1 10");
    char file[512];
    server_path(s, "dump.rdb", file);
    fill(s, "key:", 10, 10);
    wait_until(access(file, F_OK) == 0);
    wait_until(info_number(s, "persistence", "rdb_changes_since_last_save") == 0);
}

Test(persistence, what_a_full_sync_brought_is_saved)
{
    struct server *master = server_start(OURS, "%s", "");
    fill(master, "key:", 10, 10);
    struct server *replica = server_start(OURS, "save 1 10\nreplicaof 127.0.0.1 %d", master->port);
    char file[512];
    server_path(replica, "dump.rdb", file);
    wait_until(access(file, F_OK) == 0);
    wait_until(info_number(replica, "persistence", "rdb_changes_since_last_save") == 0);
    server_kill(replica);
    server_kill(master);
    server_launch(replica);
    expect_integer(replica, 10, "DBSIZE");
}

Test(persistence, failing_saves_stop_writes)
{
    struct server *s = server_start(OURS, "save 3600 1");
    expect_ok(s, "SET a 1");
    char file[512];
    server_path(s, "dump.rdb", file);
    cr_assert_eq(mkdir(file, 0755), 0); /* nothing can be renamed to it */
    expect_status(s, "Background saving started", "BGSAVE");
    wait_until(info_is(s, "persistence", "rdb_last_bgsave_status", "err"));
    expect_error(s, "MISCONF", "SET a 2");
    expect_string(s, "1", "GET a");
    expect_ok(s, "CONFIG SET stop-writes-on-bgsave-error no");
    expect_ok(s, "SET a 2");
    rmdir(file);
    expect_ok(s, "SAVE");
    cr_assert_str_eq(info_text(s, "persistence", "rdb_last_bgsave_status"), "ok");
}

/* A pipe stands for what root could take the place of by `dir /dev`. */
Test(persistence, saves_take_the_place_of_files_only)
{
    struct server *s = server_start(OURS, "%s", "");
    expect_ok(s, "SET a 1");
    char file[512];
    struct stat found;
    server_path(s, "dump.rdb", file);
    cr_assert_eq(mkfifo(file, 0600), 0);
    expect_error(s, "ERR", "SAVE");
    server_wait_log(s, 0, "is no file, and stays what it is");
    expect_status(s, "Background saving started", "BGSAVE");
    wait_until(info_is(s, "persistence", "rdb_last_bgsave_status", "err"));
    cr_assert(stat(file, &found) == 0 && S_ISFIFO(found.st_mode));
    server_stop(s);
    cr_assert_eq(server_launch_in_vain(s), 1, "it has nothing to load");
    unlink(file);
    server_launch(s);
    expect_ok(s, "SAVE");
    cr_assert(stat(file, &found) == 0 && S_ISREG(found.st_mode));
}

Test(persistence, loading_is_answered)
{
    struct server *s = server_start(OURS, "%s", "");
    fill(s, "key:", 3000, 10);
    expect_ok(s, "SAVE");
    server_add_config(s, "key-load-delay 500\nloading-process-events-interval-bytes 1024");
    server_restart(s);
    expect_error(s, "LOADING Redis is loading the dataset in memory", "GET key:1");
    cr_assert_eq(info_number(s, "persistence", "loading"), 1);
    long long before = info_number(s, "persistence", "loading_loaded_bytes");
    wait_until(info_number(s, "persistence", "loading_loaded_bytes") > before);
    wait_until(info_is(s, "persistence", "loading", "0"));
    expect_integer(s, 3000, "DBSIZE");
}

Test(persistence, who_leaves_during_loading_is_let_go)
{
    struct server *s = server_start(OURS, "%s", "");
    fill(s, "key:", 3000, 10);
    expect_ok(s, "SAVE");
    server_add_config(s, "key-load-delay 1000\nloading-process-events-interval-bytes 1024");
    server_restart(s);
    int fds[5];
    for (int i = 0; i < 5; i++) fds[i] = raw_connect(s);
    wait_until(info_number(s, "clients", "connected_clients") == 6);
    for (int i = 0; i < 5; i++) close(fds[i]);
    wait_until(info_number(s, "clients", "connected_clients") == 1);
    cr_assert_eq(info_number(s, "persistence", "loading"), 1);
}

static char *bytes_of(const char *path, size_t *len)
{
    FILE *file = fopen(path, "r");
    fseek(file, 0, SEEK_END);
    *len = ftell(file);
    rewind(file);
    char *bytes = malloc(*len);
    cr_assert_eq(fread(bytes, 1, *len, file), *len);
    fclose(file);
    return bytes;
}

static void write_bytes(const char *path, const char *bytes, size_t len)
{
    FILE *file = fopen(path, "w");
    cr_assert_eq(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

/* The server must not start, must say why, and must leave the file as it is; the checker must refuse it, too. */
static void expect_refused(struct server *s, const char *path, const char *bytes, size_t len, const char *what,
                           const char *reason)
{
    write_bytes(path, bytes, len);
    long mark = server_log_end(s);
    cr_assert_eq(server_launch_in_vain(s), 1, "%s", what);
    cr_assert(server_log_has(s, mark, reason), "%s: no '%s' in %s", what, reason, s->log);
    size_t left;
    char *still = bytes_of(path, &left);
    cr_assert(left == len && memcmp(still, bytes, len) == 0, "%s: the file was touched", what);
    free(still);
    const char *argv[] = {server_program(OURS, "redis-check-rdb"), path, NULL};
    struct process_result r = process_run(argv, NULL);
    cr_assert_neq(r.exit_code, 0, "%s: %s", what, r.output);
    free(r.output);
}

Test(persistence, damaged_files_are_refused)
{
    struct server *s = server_start(OURS, "%s", "");
    fill(s, "key:", 500, 100);
    fill(s, "long:", 5, 5000);
    expect_ok(s, "SAVE");
    server_kill(s);
    char path[512];
    server_path(s, "dump.rdb", path);
    size_t len;
    char *good = bytes_of(path, &len), *bad = malloc(len + 1);
    static const double cuts[] = {0.01, 0.3, 0.7, 0.99};
    for (int i = 0; i < 4; i++) expect_refused(s, path, good, (size_t)(len * cuts[i]), "truncated", "offset");
    expect_refused(s, path, good, len - 1, "without its last byte", "offset");
    static const double places[] = {0.2, 0.5, 0.9};
    for (int i = 0; i < 3; i++) {
        memcpy(bad, good, len);
        bad[(size_t)(len * places[i])] ^= 0x10;
        expect_refused(s, path, bad, len, "one bit altered", "offset");
    }
    memcpy(bad, good, len);
    bad[len - 3] ^= 1;
    expect_refused(s, path, bad, len, "another checksum", "offset");
    memcpy(bad, good, len);
    memcpy(bad, "RIDES", 5);
    expect_refused(s, path, bad, len, "not an RDB at all", "ignature");
    memcpy(bad, "REDIS9999", 9);
    expect_refused(s, path, bad, len, "a version from the future", "version");
    write_bytes(path, good, len);
    server_launch(s);
    expect_integer(s, 505, "DBSIZE");
    free(good);
    free(bad);
}
