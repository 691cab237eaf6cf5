/* A replica that asks for a full sync while a child writes dump.rdb, or the base of an append-only file, is sent that
 * file; a rewrite takes along who waits to save: one fork serves both. */
#include "tests/harness/client.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(shared_fork, .fini = server_finish_all, .timeout = 120);

enum { KEYS = 300, SHORT_DELAY_US = 2000 };

/* Its children take their time: until `let_go`. */
static struct server *slow_master(const char *config)
{
    struct server *s = server_start(OURS, "%s", config);
    fill(s, "key:", KEYS, 50);
    expect_ok(s, "CONFIG SET rdb-key-save-delay 20000");
    return s;
}

static void expect_one_fork(struct server *master, struct server *replica, long long forks)
{
    struct sync_counts none = {0};
    server_wait_log(master, 0, "shares the snapshot at offset");
    expect_ok(master, "SET behind:the:fork 1");
    expect_same_data(replica, master);
    cr_expect_eq(info_number(master, "stats", "total_forks"), forks + 1);
    expect_syncs(master, none, 1, 0);
}

Test(shared_fork, a_replica_is_sent_the_file_of_bgsave)
{
    struct server *master = slow_master("rdbcompression yes"), *replica = server_start(OURS, "appendonly no");
    expect_status(master, "Background saving started", "BGSAVE");
    follow(replica, master);
    expect_one_fork(master, replica, 0);
    wait_until(info_is(master, "persistence", "rdb_bgsave_in_progress", "0"));
    cr_expect(info_is(master, "persistence", "rdb_last_bgsave_status", "ok"));
    cr_expect_eq(info_number(master, "persistence", "rdb_saves"), 1);
}

Test(shared_fork, a_replica_is_sent_the_base_of_a_rewrite)
{
    struct server *master = slow_master("appendonly yes"), *replica = server_start(OURS, "appendonly no");
    long long forks = info_number(master, "stats", "total_forks");
    expect_status(master, "Background append only file rewriting started", "BGREWRITEAOF");
    wait_until(server_snapshot_pid(master) != 0);
    follow(replica, master);
    expect_one_fork(master, replica, forks);
    wait_until(info_is(master, "persistence", "aof_rewrite_in_progress", "0"));
    cr_expect(info_is(master, "persistence", "aof_last_bgrewrite_status", "ok"));
}

Test(shared_fork, debians_replica_is_sent_it_too)
{
    struct server *master = slow_master("appendonly yes"), *replica = server_start(DEBIAN, "appendonly no");
    long long forks = info_number(master, "stats", "total_forks");
    expect_status(master, "Background append only file rewriting started", "BGREWRITEAOF");
    wait_until(server_snapshot_pid(master) != 0);
    follow(replica, master);
    expect_one_fork(master, replica, forks);
}

/* The purpose of the file is another's: its child goes on when the replica has left. */
Test(shared_fork, it_goes_on_when_the_replica_leaves)
{
    struct server *master = slow_master("rdbcompression yes"), *replica = server_start(OURS, "appendonly no");
    expect_status(master, "Background saving started", "BGSAVE");
    follow(replica, master);
    server_wait_log(master, 0, "shares the snapshot at offset");
    promote(replica);
    wait_until(info_is(master, "replication", "connected_slaves", "0"));
    wait_until(info_is(master, "persistence", "rdb_bgsave_in_progress", "0"));
    cr_expect_eq(info_number(master, "persistence", "rdb_saves"), 1);
}

Test(shared_fork, its_death_costs_the_replica_another)
{
    struct server *master = slow_master("rdbcompression yes"), *replica = server_start(OURS, "appendonly no");
    long long forks = info_number(master, "stats", "total_forks");
    expect_ok(master, "CONFIG SET rdb-key-save-delay 1000000"); /* it does not end by itself before it is killed */
    expect_status(master, "Background saving started", "BGSAVE");
    follow(replica, master);
    server_wait_log(master, 0, "shares the snapshot at offset");
    expect_ok(master, "CONFIG SET rdb-key-save-delay 0");
    kill(server_snapshot_pid(master), SIGKILL);
    expect_same_data(replica, master);
    wait_until(info_is(master, "persistence", "rdb_last_bgsave_status", "err"));
    cr_expect_eq(info_number(master, "stats", "total_forks"), forks + 2);
}

/* A base of commands is no RDB: the replica waits, and gets a snapshot of its own. */
Test(shared_fork, a_base_of_commands_is_for_nobody_else)
{
    struct server *master = slow_master("appendonly yes\naof-use-rdb-preamble no");
    struct server *replica = server_start(OURS, "appendonly no");
    long long forks = info_number(master, "stats", "total_forks");
    expect_ok(master, "CONFIG SET rdb-key-save-delay 1000");
    expect_status(master, "Background append only file rewriting started", "BGREWRITEAOF");
    follow(replica, master);
    expect_same_data(replica, master);
    cr_expect_eq(info_number(master, "stats", "total_forks"), forks + 2);
}

/* --- a rewrite takes along who waits to save --- */

static void expect_element(const redisReply *r, size_t i, const char *text)
{
    cr_assert_str_eq(r->element[i]->str, text);
}

/* Both are asked for at once: nothing is forked in the midst of a transaction,
 * and one child does the work behind it. */
static void ask_for_both(struct server *s, int key_delay_us)
{
    expect_ok(s, "CONFIG SET rdb-key-save-delay %d", key_delay_us);
    expect_ok(s, "MULTI");
    expect_status(s, "QUEUED", "BGREWRITEAOF");
    expect_status(s, "QUEUED", "BGSAVE");
    redisReply *r = command(s, "EXEC");
    expect_element(r, 0, "Background append only file rewriting scheduled");
    expect_element(r, 1, "Background saving scheduled");
    freeReplyObject(r);
}

static bool both_run(struct server *s)
{
    return info_is(s, "persistence", "aof_rewrite_in_progress", "1") &&
           info_is(s, "persistence", "rdb_bgsave_in_progress", "1");
}

static bool is_idle(struct server *s)
{
    return info_is(s, "persistence", "aof_rewrite_in_progress", "0") &&
           info_is(s, "persistence", "aof_rewrite_scheduled", "0") &&
           info_is(s, "persistence", "rdb_bgsave_in_progress", "0");
}

static void expect_status_of(struct server *s, const char *save, const char *rewrite)
{
    wait_until(is_idle(s));
    cr_expect(info_is(s, "persistence", "rdb_last_bgsave_status", save));
    cr_expect(info_is(s, "persistence", "aof_last_bgrewrite_status", rewrite));
}

static void expect_loads_as(struct server *loader, const char *digest)
{
    server_launch(loader);
    wait_until(info_is_if_there(loader, "persistence", "loading", "0"));
    cr_expect_str_eq(command_text(loader, "DEBUG DIGEST"), digest);
    server_stop(loader);
}

Test(shared_fork, a_rewrite_takes_a_save_along)
{
    struct server *s = server_start(OURS, "appendonly yes\nadopt-backlog no");
    struct server *debian = server_prepare(DEBIAN, "%s", "");
    fill(s, "key:", KEYS, 50);
    freeReplyObject(command(s, "RPUSH list a b c"));
    long long forks = info_number(s, "stats", "total_forks");
    char digest[64];
    snprintf(digest, sizeof digest, "%s", command_text(s, "DEBUG DIGEST"));
    ask_for_both(s, SHORT_DELAY_US);
    wait_until(info_number(s, "persistence", "rdb_saves") == 1);
    expect_status_of(s, "ok", "ok");
    cr_expect_eq(info_number(s, "stats", "total_forks"), forks + 1);
    cr_expect_eq(info_number(s, "persistence", "aof_rewrites"), 1);
    cr_expect_eq(info_number(s, "persistence", "rdb_changes_since_last_save"), 0);
    server_copy_file(s, debian, "dump.rdb");
    expect_loads_as(debian, digest);
    server_kill(s);
    expect_loads_as(s, digest);
}

Test(shared_fork, one_child_serves_all_three)
{
    struct server *master = slow_master("appendonly yes"), *replica = server_start(OURS, "appendonly no");
    long long forks = info_number(master, "stats", "total_forks");
    ask_for_both(master, 10000);
    wait_until(both_run(master));
    follow(replica, master);
    expect_one_fork(master, replica, forks);
    wait_until(info_number(master, "persistence", "rdb_saves") == 1);
    expect_status_of(master, "ok", "ok");
    cr_expect_eq(info_number(master, "stats", "total_forks"), forks + 1);
}

/* One result each: what keeps dump.rdb from its place is nothing to the base. */
Test(shared_fork, a_save_may_fail_where_the_rewrite_does_not)
{
    struct server *s = server_start(OURS, "appendonly yes\nstop-writes-on-bgsave-error no");
    char path[512];
    server_path(s, "dump.rdb", path);
    cr_assert_eq(mkdir(path, 0755), 0);
    server_path(s, "dump.rdb/in_the_way", path);
    cr_assert_eq(mkdir(path, 0755), 0);
    fill(s, "key:", 10, 10);
    ask_for_both(s, SHORT_DELAY_US);
    wait_until(info_number(s, "persistence", "aof_rewrites") == 1);
    expect_status_of(s, "err", "ok");
    cr_expect_eq(info_number(s, "persistence", "rdb_saves"), 0);
}

Test(shared_fork, both_fail_with_their_child)
{
    struct server *s = slow_master("appendonly yes");
    ask_for_both(s, SHORT_DELAY_US);
    wait_until(both_run(s));
    kill(server_snapshot_pid(s), SIGKILL);
    expect_status_of(s, "err", "err");
}

/* What a save would write is of no use any more, and the rewrite goes on. */
Test(shared_fork, a_save_that_is_withdrawn_leaves_the_rewrite)
{
    struct server *s = slow_master("appendonly yes");
    ask_for_both(s, SHORT_DELAY_US);
    wait_until(both_run(s));
    expect_ok(s, "FLUSHALL");
    cr_expect(both_run(s), "the child goes on for the rewrite's sake");
    expect_status_of(s, "ok", "ok");
    cr_expect_eq(info_number(s, "persistence", "rdb_saves"), 0);
    cr_expect_eq(info_number(s, "persistence", "aof_rewrites"), 1);
    char path[512];
    server_path(s, "dump.rdb", path);
    cr_expect_neq(access(path, F_OK), 0, "the old data came back as dump.rdb");
}

Test(shared_fork, a_rewrite_that_is_withdrawn_leaves_the_save)
{
    struct server *s = slow_master("appendonly yes");
    ask_for_both(s, SHORT_DELAY_US);
    wait_until(both_run(s));
    expect_ok(s, "CONFIG SET appendonly no");
    wait_until(info_number(s, "persistence", "rdb_saves") == 1);
    expect_status_of(s, "ok", "ok");
    cr_expect_eq(info_number(s, "persistence", "aof_rewrites"), 0);
}

Test(shared_fork, a_base_of_commands_takes_nobody_along)
{
    struct server *s = server_start(OURS, "appendonly yes\naof-use-rdb-preamble no");
    long long forks = info_number(s, "stats", "total_forks");
    fill(s, "key:", 10, 10);
    ask_for_both(s, SHORT_DELAY_US);
    wait_until(info_number(s, "persistence", "rdb_saves") == 1);
    expect_status_of(s, "ok", "ok");
    cr_expect_eq(info_number(s, "stats", "total_forks"), forks + 2);
}

/* A rewrite forks a moment behind its answer, and what is said of it is what Redis says: it has begun. */
Test(shared_fork, a_rewrite_that_has_been_asked_for_is_another_child)
{
    static const enum server_kind kinds[] = {OURS, DEBIAN};
    for (int i = 0; i < 2; i++) {
        struct server *s = server_start(kinds[i], "appendonly yes\nrdb-key-save-delay 50000");
        fill(s, "key:", 10, 10);
        static const char *const requests[] = {"BGREWRITEAOF", "BGSAVE", "BGSAVE SCHEDULE", "BGREWRITEAOF"};
        static const char *const answers[] = {
            "Background append only file rewriting started", "ERR Another child process is active (AOF?)",
            "Background saving scheduled", "ERR Background append only file rewriting already in progress"};
        for (int k = 0; k < 4; k++) redisAppendCommand(connection(s), requests[k]);
        for (int k = 0; k < 4; k++) {
            redisReply *r = receive(s);
            cr_expect_eq(strncmp(r->str, answers[k], strlen(answers[k])), 0, "%s: %s", requests[k], r->str);
            freeReplyObject(r);
        }
        wait_until(info_number(s, "persistence", "rdb_saves") == 1);
    }
}
