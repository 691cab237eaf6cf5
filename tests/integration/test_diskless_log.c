/* What the log tells of a snapshot that goes straight to sockets, in the words that Redis has for it: people look for
 * those. And when its child is killed, as Redis kills it. Debian's replicas take what is no stream of ours alone. */
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(diskless_log, .fini = server_finish_all, .timeout = 120);

#define DISKLESS   "repl-diskless-sync yes\nrdbcompression no\n"
#define BOTH_WAIT  "repl-diskless-sync-delay 60\nrepl-diskless-sync-max-replicas 2\n"
#define DONE       "Diskless rdb transfer, done reading from pipe, %d replicas still up"
#define LAST_LEFT  "Diskless rdb transfer, last replica dropped, killing fork child"
#define SLOW_CHILD "CONFIG SET rdb-key-save-delay 20000"

/* More than sockets, a pipe and the link hold together. */
static void fill_much(struct server *master)
{
    fill(master, "key:", 3000, 10000);
}

static void wait_done(struct server *master, long from, int replicas)
{
    char line[128];
    snprintf(line, sizeof line, DONE, replicas);
    server_wait_log(master, from, line);
}

/* A replica that asks, and takes nothing of what it is sent. */
static int ask_and_read_no_more(struct server *master)
{
    int fd = raw_connect(master);
    raw_send_text(fd, "REPLCONF listening-port 9999 capa eof capa psync2\r\n");
    raw_expect(fd, "+OK\r\n");
    raw_send_text(fd, "PSYNC ? -1\r\n");
    return fd;
}

Test(diskless_log, a_transfer_from_its_child_to_the_last_byte)
{
    struct server *master = server_start(OURS, DISKLESS BOTH_WAIT);
    struct server *ours = server_start(OURS, "%s", ""), *debian = server_start(DEBIAN, "%s", "");
    fill(master, "key:", 100, 1000);
    follow(ours, master);
    follow(debian, master);
    server_wait_log(master, 0, "Starting BGSAVE for SYNC with target: replicas sockets");
    server_wait_log(master, 0, "Background RDB transfer started by pid ");
    wait_done(master, 0, 2);
    server_wait_log(master, 0, "Background RDB transfer terminated with success");
    server_wait_log(ours, 0, "MASTER <-> REPLICA sync: Loading DB in memory");
    expect_same_data(ours, master);
    expect_same_data(debian, master);
    cr_expect_not(server_log_has(master, 0, "Background saving started"));
}

Test(diskless_log, one_replica_that_leaves_is_not_counted)
{
    struct server *master = server_start(OURS, DISKLESS BOTH_WAIT), *debian = server_start(DEBIAN, "%s", "");
    fill_much(master);
    int fd = ask_and_read_no_more(master);
    follow(debian, master);
    wait_until(server_snapshot_pid(master));
    server_wait_log(debian, 0, "receiving streamed RDB from master");
    cr_expect_not(server_log_has(master, 0, "done reading from pipe"), "one takes nothing: the other waits for it");
    close(fd);
    wait_done(master, 0, 1);
    expect_same_data(debian, master);
}

Test(diskless_log, with_the_last_replica_goes_the_child)
{
    struct server *master = server_start(OURS, DISKLESS);
    fill_much(master);
    int fd = ask_and_read_no_more(master);
    wait_until(server_snapshot_pid(master) && strstr(info_text(master, "replication", "slave0"), "state=send_bulk"));
    cr_expect_eq(info_number(master, "persistence", "rdb_bgsave_in_progress"), 1);
    close(fd);
    server_wait_log(master, 0, LAST_LEFT);
    wait_until(info_is(master, "persistence", "rdb_bgsave_in_progress", "0"));
    cr_expect_eq(server_snapshot_pid(master), 0);
    cr_expect_not(server_log_has(master, 0, "done reading from pipe"));
}

Test(diskless_log, who_takes_nothing_is_told_of_and_the_others_go_on)
{
    struct server *master = server_start(OURS, DISKLESS BOTH_WAIT "repl-timeout 3\n");
    struct server *debian = server_start(DEBIAN, "%s", "");
    fill_much(master);
    int fd = ask_and_read_no_more(master);
    follow(debian, master);
    server_wait_log(master, 0, "Disconnecting timedout replica (full sync): 127.0.0.1:9999");
    wait_done(master, 0, 1);
    expect_same_data(debian, master);
    close(fd);
}

Test(diskless_log, a_child_that_is_killed_is_told_of_and_followed_by_another)
{
    struct server *master = server_start(OURS, DISKLESS), *debian = server_start(DEBIAN, "%s", "");
    fill(master, "key:", 1000, 1000);
    expect_ok(master, SLOW_CHILD);
    follow(debian, master);
    pid_t child = 0;
    wait_until((child = server_snapshot_pid(master)));
    expect_ok(master, "CONFIG SET rdb-key-save-delay 0");
    kill(child, SIGKILL);
    server_wait_log(master, 0, "Background transfer terminated by signal 9");
    expect_same_data(debian, master);
}

static long long loaded_bytes(struct server *replica)
{
    return atoll(info_text(replica, "persistence", "loading_loaded_bytes"));
}

/* And does not take it all into its memory meanwhile. */
Test(diskless_log, who_loads_slowly_keeps_the_child_waiting)
{
    struct server *master = server_start(OURS, DISKLESS);
    struct server *replica = server_start(OURS, "repl-lz4 no\nkey-load-delay 500\n");
    fill_much(master);
    follow(replica, master);
    wait_until(loaded_bytes(replica) > 5000000);
    cr_expect_neq(server_snapshot_pid(master), 0);
    cr_expect_not(server_log_has(master, 0, "done reading from pipe"));
    wait_done(master, 0, 1);
    expect_same_data(replica, master);
}

/* What it was writing nobody needs any more. */
static void is_killed_by_a_flush(const char *config, const char *what)
{
    struct server *master = server_start(OURS, "%s", config), *debian = server_start(DEBIAN, "%s", "");
    char started[64], stopped[96];
    snprintf(started, sizeof started, "Background %s started by pid", what);
    snprintf(stopped, sizeof stopped, "Background %s stopped: its dataset has been flushed", what);
    fill(master, "key:", 10000, 10);
    expect_ok(master, SLOW_CHILD);
    follow(debian, master);
    wait_until(server_snapshot_pid(master));
    expect_ok(master, "CONFIG SET rdb-key-save-delay 0");
    server_wait_log(master, 0, started);
    long mark = server_log_end(master);
    expect_ok(master, "FLUSHALL");
    server_wait_log(master, mark, stopped);
    server_wait_log(master, mark, started);
    expect_ok(master, "SET k v");
    expect_same_data(debian, master);
}

Test(diskless_log, a_flush_ends_what_is_written_for_replicas)
{
    is_killed_by_a_flush(DISKLESS, "RDB transfer");
    is_killed_by_a_flush("", "saving");
}
