/* A master that is killed with its link held back: what it had acknowledged to clients reaches its replicas all the
 * same, and their connections end behind the last byte of it. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

TestSuite(last_words, .fini = server_finish_all, .timeout = 120);

#define KEYS        200
#define VALUE_BYTES 5000 /* together more than the buffers of a connection that is read at leisure */

static long long offset_of(struct server *s)
{
    return info_number(s, "replication", "master_repl_offset");
}

static pid_t hold_link(const struct server *master)
{
    pid_t link = server_link_pid(master);
    cr_assert_gt(link, 0);
    cr_assert_eq(kill(link, SIGSTOP), 0);
    wait_until(process_is_stopped(link));
    return link;
}

static bool has_lost_its_master(struct server *replica)
{
    return info_is_if_there(replica, "replication", "master_link_status", "down");
}

/* Acknowledged, and not one byte of it has left. Returns the offset behind it. */
static long long write_and_kill(struct server *master)
{
    fill(master, "acknowledged:", KEYS, VALUE_BYTES);
    long long offset = offset_of(master);
    server_kill(master);
    return offset;
}

static void gets_all_of_it(enum server_kind kind, const char *config)
{
    struct server *master = server_start(OURS, "%s", config), *replica = server_start(kind, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    pid_t link = hold_link(master);
    long long offset = write_and_kill(master);
    cr_assert_eq(command_integer(replica, "DBSIZE"), 0);
    cr_assert_not(has_lost_its_master(replica), "the link goes on");
    kill(link, SIGCONT);
    wait_until(has_lost_its_master(replica));
    cr_assert_eq(info_number(replica, "replication", "slave_repl_offset"), offset);
    cr_assert_eq(command_integer(replica, "DBSIZE"), KEYS);
    wait_until(!process_alive(link));
    cr_assert(server_log_has(master, 0, "1 of 1 replicas have got all that was published"));
}

Test(last_words, a_replica_gets_what_was_acknowledged)
{
    gets_all_of_it(OURS, "");
    gets_all_of_it(OURS, "repl-lz4 no");
    gets_all_of_it(DEBIAN, "");
}

/* The first of two is promoted: the second goes on with it where it stands. */
Test(last_words, a_replica_that_is_promoted_lacks_nothing)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *first = server_start(OURS, "%s", ""), *second = server_start(OURS, "%s", "");
    follow(first, master);
    follow(second, master);
    wait_in_step(first, master);
    wait_in_step(second, master);
    pid_t link = hold_link(master);
    write_and_kill(master);
    kill(link, SIGCONT);
    wait_until(has_lost_its_master(first) && has_lost_its_master(second));
    promote(first);
    follow(second, first);
    expect_same_data(second, first);
    cr_assert_eq(command_integer(second, "DBSIZE"), KEYS);
    cr_assert_eq(sync_counts(first).full, 0);
}

/* A replica in its full synchronisation: the snapshot is complete, and nobody had begun to send it. */
Test(last_words, a_snapshot_that_is_complete_is_delivered_and_the_stream_behind_it)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *first = server_start(OURS, "%s", ""), *second = server_start(OURS, "%s", "");
    fill(master, "snapshot:", KEYS, VALUE_BYTES);
    follow(first, master);
    wait_in_step(first, master);
    pid_t link = hold_link(master);
    follow(second, master);
    wait_until(sync_counts(master).full == 2); /* it shares the first one's, which the backlog still leads on from */
    wait_until(info_is(master, "persistence", "rdb_bgsave_in_progress", "0"));
    long long offset = write_and_kill(master);
    kill(link, SIGCONT);
    wait_until(command_integer(second, "DBSIZE") == 2 * KEYS);
    wait_until(has_lost_its_master(first) && has_lost_its_master(second));
    cr_assert_eq(info_number(second, "replication", "slave_repl_offset"), offset);
    cr_assert_eq(info_number(first, "replication", "slave_repl_offset"), offset);
}

/* Nothing is lost but the time: the next server adopts the stream. */
Test(last_words, a_link_that_is_killed_too_leaves_all_to_the_next_server)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    pid_t link = hold_link(master);
    write_and_kill(master);
    kill(link, SIGKILL);
    wait_until(has_lost_its_master(replica));
    cr_assert_eq(command_integer(replica, "DBSIZE"), 0);
    server_launch(master);
    expect_same_data(replica, master);
    cr_assert_eq(command_integer(replica, "DBSIZE"), KEYS);
    cr_assert_eq(sync_counts(master).full, 0);
}

/* The dead server's link comes to, with the next one serving in the same region's place. */
static void next_server_meanwhile(const char *config, long long full)
{
    struct server *master = server_start(OURS, "%s", config), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    pid_t link = hold_link(master);
    write_and_kill(master);
    server_launch(master);
    wait_until(info_is_if_there(master, "persistence", "loading", "0"));
    fill(master, "later:", KEYS, VALUE_BYTES);
    cr_assert_eq(command_integer(replica, "DBSIZE"), 0);
    kill(link, SIGCONT);
    wait_until(!process_alive(link));
    cr_assert_geq(command_integer(replica, "DBSIZE"), KEYS);
    expect_same_data(replica, master);
    cr_assert_eq(sync_counts(master).full, full);
}

Test(last_words, the_next_server_waits_for_nobody)
{
    next_server_meanwhile("repl-backlog-size 16mb", 0);
    next_server_meanwhile("adopt-backlog no", 1);
}

/* The replica has come back to the next server when the dead one's link goes on. */
Test(last_words, a_replica_that_has_come_back_hears_nothing_of_the_dead_servers_link)
{
    struct server *master = server_start(OURS, "%s", "repl-backlog-size 16mb"), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    pid_t link = hold_link(master);
    write_and_kill(master);
    server_launch(master);
    wait_until(info_is_if_there(master, "persistence", "loading", "0"));
    command_integer(replica, "CLIENT KILL TYPE master");
    wait_in_step(replica, master);
    kill(link, SIGCONT);
    wait_until(!process_alive(link));
    fill(master, "later:", KEYS, VALUE_BYTES);
    expect_same_data(replica, master);
    cr_assert_eq(command_integer(replica, "DBSIZE"), 2 * KEYS);
    cr_assert_eq(sync_counts(master).full, 0);
}

/* --- who else there is --- */

/* Journal and link of one dead server, and the next server, which waits for the journal alone. */
static void both_at_work(const char *config)
{
    struct server *master = server_start(OURS, "appendonly yes\n%s", config), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    pid_t link = hold_link(master), journal = server_wait_journal(master);
    cr_assert_eq(kill(journal, SIGSTOP), 0);
    wait_until(process_is_stopped(journal));
    long long offset = write_and_kill(master);
    server_launch(master);
    kill(link, SIGCONT);
    wait_until(command_integer(replica, "DBSIZE") == KEYS);
    wait_until(!process_alive(link));
    cr_assert_eq(info_number(replica, "replication", "slave_repl_offset"), offset);
    cr_assert(process_is_stopped(journal));
    kill(journal, SIGCONT);
    wait_until(info_is_if_there(master, "persistence", "loading", "0"));
    fill(master, "later:", KEYS, VALUE_BYTES);
    expect_same_data(replica, master);
    cr_assert_eq(command_integer(replica, "DBSIZE"), 2 * KEYS);
    cr_assert_eq(sync_counts(master).full, 0);
}

Test(last_words, the_journal_has_its_own)
{
    both_at_work("repl-backlog-size 16mb");
    both_at_work("repl-backlog-size 16mb\nadopt-backlog no");
}

/* The replica is ahead of the next server then, which must not take it for one of its own. */
Test(last_words, what_the_journal_lost_is_not_kept_by_a_replica)
{
    struct server *master = server_start(OURS, "%s", "appendonly yes\nadopt-backlog no");
    struct server *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(master, "SET written 1");
    wait_until(info_is(master, "persistence", "aof_buffer_length", "0"));
    pid_t link = hold_link(master), journal = server_wait_journal(master);
    cr_assert_eq(kill(journal, SIGSTOP), 0);
    wait_until(process_is_stopped(journal));
    write_and_kill(master);
    kill(journal, SIGKILL);
    kill(link, SIGCONT);
    wait_until(command_integer(replica, "DBSIZE") == KEYS + 1);
    wait_until(!process_alive(link));
    server_launch(master);
    wait_until(info_is_if_there(master, "persistence", "loading", "0"));
    fill(master, "later:", 2 * KEYS, VALUE_BYTES); /* past where the replica is */
    expect_same_data(replica, master);
    cr_assert_eq(command_integer(replica, "DBSIZE"), 2 * KEYS + 1);
    cr_assert_eq(sync_counts(master).full, 1);
}

/* --- other ends --- */

Test(last_words, a_crash_is_as_a_kill)
{
    struct server *master = server_prepare(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    master->may_crash = true;
    server_launch(master);
    follow(replica, master);
    wait_in_step(replica, master);
    pid_t link = hold_link(master);
    fill(master, "acknowledged:", KEYS, VALUE_BYTES);
    long long offset = offset_of(master);
    cr_assert_null(try_command(master, "DEBUG SEGFAULT"));
    server_wait_end(master);
    kill(link, SIGCONT);
    wait_until(has_lost_its_master(replica));
    cr_assert_eq(info_number(replica, "replication", "slave_repl_offset"), offset);
    cr_assert_eq(command_integer(replica, "DBSIZE"), KEYS);
    wait_until(!process_alive(link));
}

/* It waits for the link for a moment, whatever became of it and of its replicas, and then ends it. */
Test(last_words, a_server_that_is_told_to_end_leaves_no_link_behind)
{
    struct server *master = server_start(OURS, "%s", "shutdown-timeout 0"), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    pid_t link = hold_link(master);
    fill(master, "key:", KEYS, VALUE_BYTES);
    server_stop(master);
    cr_assert_not(process_alive(link));

    server_launch(master);
    wait_in_step(replica, master);
    link = server_link_pid(master);
    server_freeze(replica);
    fill(master, "more:", KEYS, 100 * VALUE_BYTES); /* past what a connection's buffers take */
    server_stop(master);
    cr_assert_not(process_alive(link));
    server_thaw(replica);
}
