/* Everything is killed at once, and starts again with what each had on its disk: it ends with one master, and that is
 * the one with the most data, whoever was the master before. */
#include "tests/harness/replication.h"
#include "tests/harness/sentinels.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(sentinel_restart, .fini = server_finish_all, .timeout = 120);

#define BOUND_MS 60000

/* Machines that are gone: nothing is left in shared memory. */
#define ALONE "save \"\"\nadopt-backlog no\nrepl-ping-replica-period 1"
static const char config[] = ALONE "\nahead-replica-wait 20"; /* a busy machine starts Sentinels late */

struct fleet {
    struct server *node[3], *sentinel[3];
};

static struct fleet fleet_of(enum server_kind last_replica)
{
    struct fleet f;
    for (int i = 0; i < 3; i++)
        f.node[i] = i == 2 && last_replica == DEBIAN
                        ? server_start(DEBIAN, "%s", "save \"\"\nrepl-ping-replica-period 1")
                        : server_start(OURS, "%s", config);
    for (int i = 1; i < 3; i++) {
        server_add_config(f.node[i], "replicaof 127.0.0.1 %d", f.node[0]->port);
        follow(f.node[i], f.node[0]);
    }
    for (int i = 0; i < 3; i++)
        f.sentinel[i] = server_start(OUR_SENTINEL,
                                     "sentinel monitor mymaster 127.0.0.1 %d 2\n"
                                     "sentinel down-after-milliseconds mymaster 1000\n"
                                     "sentinel failover-timeout mymaster 10000\n"
                                     "sentinel parallel-syncs mymaster 2",
                                     f.node[0]->port);
    for (int i = 0; i < 3; i++) wait_until(sentinel_knows(f.sentinel[i], 2, 2));
    return f;
}

static void write_and_wait(const struct fleet *f, const char *prefix)
{
    fill(f->node[0], prefix, 100, 100);
    for (int i = 1; i < 3; i++) wait_in_step(f->node[i], f->node[0]);
}

/* The master's file is the oldest, the last replica's the newest. */
static struct fleet fleet_with_files(enum server_kind last_replica)
{
    struct fleet f = fleet_of(last_replica);
    static const char *const prefixes[] = {"first:", "second:", "third:"};
    for (int i = 0; i < 3; i++) {
        write_and_wait(&f, prefixes[i]);
        expect_ok(f.node[i], "SAVE");
    }
    return f;
}

static void kill_all(struct fleet *f)
{
    for (int i = 0; i < 3; i++) server_kill(f->sentinel[i]);
    for (int i = 0; i < 3; i++) server_kill(f->node[i]);
}

static void expect_master(struct fleet *f, int wanted)
{
    for (int i = 0; i < 3; i++)
        wait_until_within(BOUND_MS, sentinel_master_port(f->sentinel[i]) == f->node[wanted]->port);
    for (int i = 0; i < 3; i++)
        wait_until_within(BOUND_MS,
                          info_is_if_there(f->node[i], "replication", "role", i == wanted ? "master" : "slave"));
    for (int i = 0; i < 3; i++)
        if (i != wanted) wait_until_within(BOUND_MS, link_is_up(f->node[i]) && in_step(f->node[i], f->node[wanted]));
}

static void expect_all_data(struct fleet *f)
{
    for (int i = 0; i < 3; i++) expect_integer(f->node[i], 3, "EXISTS first:99 second:99 third:99");
}

/* Who has most is back first: Sentinels wait for others for no longer than a second. */
static void restart(struct fleet *f, bool sentinels_first)
{
    kill_all(f);
    for (int i = 0; i < 3 && sentinels_first; i++) server_launch(f->sentinel[i]);
    for (int i = 2; i >= 0; i--) server_launch(f->node[i]);
    for (int i = 0; i < 3 && !sentinels_first; i++) server_launch(f->sentinel[i]);
}

Test(sentinel_restart, the_one_with_the_most_data_becomes_the_master)
{
    struct fleet f = fleet_with_files(OURS);
    restart(&f, false);
    expect_master(&f, 2);
    expect_all_data(&f);
    cr_expect(server_log_has(f.node[0], 0, "bytes of our history that we have lost"));
    bool told = false;
    for (int i = 0; i < 3; i++) told |= server_log_has(f.sentinel[i], 0, "bytes more of its history");
    cr_expect(told, "no Sentinel says why");
}

Test(sentinel_restart, sentinels_that_were_there_first_choose_the_same)
{
    struct fleet f = fleet_with_files(OURS);
    restart(&f, true);
    expect_master(&f, 2);
    expect_all_data(&f);
}

Test(sentinel_restart, a_replica_of_debians_with_the_most_data_is_promoted_too)
{
    struct fleet f = fleet_with_files(DEBIAN);
    restart(&f, false);
    expect_master(&f, 2);
    expect_all_data(&f);
}

/* Its volume is gone. */
Test(sentinel_restart, a_master_that_comes_back_with_nothing_is_replaced)
{
    struct fleet f = fleet_with_files(OURS);
    char path[512];
    server_path(f.node[0], "dump.rdb", path);
    cr_assert_eq(unlink(path), 0);
    restart(&f, false);
    expect_master(&f, 2);
    expect_all_data(&f);
}

/* The master alone is killed, and comes back before anybody has missed it. */
Test(sentinel_restart, a_master_that_comes_back_at_once_with_an_older_file_is_replaced)
{
    struct fleet f = fleet_with_files(OURS);
    server_restart(f.node[0]);
    int promoted;
    wait_until_within(BOUND_MS, sentinel_master_port(f.sentinel[0]) != f.node[0]->port);
    promoted = sentinel_master_port(f.sentinel[0]) == f.node[1]->port ? 1 : 2;
    expect_master(&f, promoted);
    expect_all_data(&f);
}

/* Nobody has lost anything: nothing changes, and everybody continues. */
Test(sentinel_restart, with_equal_files_the_master_stays)
{
    struct fleet f = fleet_of(OURS);
    write_and_wait(&f, "first:");
    for (int i = 3; i-- > 0;) expect_ok(f.node[i], "SAVE"); /* the master last: PINGs count, too */
    restart(&f, false);
    for (int i = 1; i < 3; i++) wait_in_step(f.node[i], f.node[0]);
    for (int i = 0; i < 3; i++) cr_expect_eq(sentinel_master_port(f.sentinel[i]), f.node[0]->port);
    expect_integer(f.node[2], 1, "EXISTS first:99");
}

/* Nobody to promote it: after a moment it follows as ever. */
Test(sentinel_restart, without_sentinels_a_replica_is_held_back_for_a_moment_alone)
{
    struct server *master = server_start(OURS, ALONE "%s", ""), *replica = server_start(OURS, ALONE "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    fill(master, "first:", 100, 100);
    wait_in_step(replica, master);
    server_restart(master);
    wait_until(*info_text(master, "replication", "slaves_ahead_bytes"));
    expect_integer(replica, 1, "EXISTS first:99");
    wait_in_step(replica, master);
    expect_integer(replica, 0, "EXISTS first:99");
    cr_expect_str_eq(info_text(master, "replication", "slaves_ahead_bytes"), "");
}

/* The backlog's time to live is over first: who has more is known all the same. */
Test(sentinel_restart, a_master_without_followers_keeps_the_history_that_tells_who_has_more)
{
    struct server *master = server_start(OURS, "%s", ALONE "\nahead-replica-wait 600\nrepl-backlog-ttl 1");
    struct server *replica = server_start(OURS, "%s", ALONE);
    follow(replica, master);
    expect_ok(master, "SET kept yes");
    wait_in_step(replica, master);
    expect_ok(master, "SAVE");
    expect_ok(master, "SET first yes");
    wait_in_step(replica, master);
    server_restart(master);
    wait_until(*info_text(master, "replication", "slaves_ahead_bytes"));
    wait_until(info_number(master, "server", "uptime_in_seconds") >= 3);
    cr_expect_not(server_log_has(master, 0, "Replication backlog freed"));
    expect_string(replica, "yes", "GET first");
}

Test(sentinel_restart, ahead_replica_wait_0_lets_it_follow_at_once)
{
    static const char at_once[] = ALONE "\nahead-replica-wait 0";
    struct server *master = server_start(OURS, "%s", at_once), *replica = server_start(OURS, "%s", at_once);
    follow(replica, master);
    wait_in_step(replica, master);
    fill(master, "first:", 100, 100);
    wait_in_step(replica, master);
    server_restart(master);
    wait_in_step(replica, master);
    expect_integer(replica, 0, "EXISTS first:99");
    cr_expect(!server_log_has(replica, 0, "NOMASTERLINK"));
}
