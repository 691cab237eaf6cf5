/* A replica that asks for a full sync while a child writes dump.rdb, or the base of an append-only file, is sent that
 * file: one fork serves both. */
#include "tests/harness/client.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <unistd.h>

TestSuite(shared_fork, .fini = server_finish_all, .timeout = 120);

enum { KEYS = 300 };

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

/* The purpose of the file is another's: its child goes on when the replica has left, and its death costs the replica
 * another one. */
Test(shared_fork, each_outlives_the_other)
{
    struct server *master = slow_master("rdbcompression yes"), *replica = server_start(OURS, "appendonly no");
    expect_status(master, "Background saving started", "BGSAVE");
    follow(replica, master);
    server_wait_log(master, 0, "shares the snapshot at offset");
    promote(replica);
    wait_until(info_is(master, "replication", "connected_slaves", "0"));
    wait_until(info_is(master, "persistence", "rdb_bgsave_in_progress", "0"));
    cr_expect_eq(info_number(master, "persistence", "rdb_saves"), 1);
    expect_status(master, "Background saving started", "BGSAVE");
    long mark = server_log_end(master);
    follow(replica, master);
    server_wait_log(master, mark, "shares the snapshot at offset");
    expect_ok(master, "CONFIG SET rdb-key-save-delay 0");
    kill(server_snapshot_pid(master), SIGKILL);
    expect_same_data(replica, master);
    cr_expect(info_is(master, "persistence", "rdb_last_bgsave_status", "err"));
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
