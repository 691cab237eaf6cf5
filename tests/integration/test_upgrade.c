/* The steps of docs/upgrade.md, from Debian's Redis to ours and back. */
#include "tests/harness/client.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(upgrade, .fini = server_finish_all, .timeout = 120);

static void write_some(struct server *s, const char *name)
{
    fill(s, name, 500, 50);
    freeReplyObject(command(s, "HSET hash:%s f 1 g 2", name));
    freeReplyObject(command(s, "RPUSH list:%s a b c", name));
    freeReplyObject(command(s, "ZADD zset:%s 1 a 2 b", name));
    freeReplyObject(command(s, "XADD stream:%s 1-1 f v", name));
    expect_ok(s, "SET expires:%s v EX 1000", name);
    expect_ok(s, "SELECT 2");
    expect_ok(s, "SET elsewhere:%s v", name);
    expect_ok(s, "SELECT 0");
}

static void hand_over(struct server *from, struct server *to)
{
    struct sync_counts counts = sync_counts(to);
    wait_online(to->port, from);
    expect_ok(from, "FAILOVER TO 127.0.0.1 %d TIMEOUT 20000", to->port);
    wait_until(info_is_if_there(to, "replication", "role", "master"));
    wait_until(info_is_if_there(from, "replication", "role", "slave"));
    wait_in_step(from, to);
    struct sync_counts now = sync_counts(to);
    cr_expect_eq(now.full, counts.full, "the one that stepped down took a full resync");
}

Test(upgrade, there_and_back)
{
    struct server *old = server_start(DEBIAN, "%s", ""), *ours = server_start(OURS, "%s", "");
    write_some(old, "first");
    follow(ours, old);
    wait_in_step(ours, old);
    cr_expect_eq(info_number(ours, "replication", "master_stream_refusals"), 0);
    write_some(old, "second");
    expect_integer(old, 1, "WAIT 1 20000");
    expect_same_data(ours, old);
    hand_over(old, ours);
    write_some(ours, "third");
    expect_same_data(old, ours);
    hand_over(ours, old);
    write_some(old, "fourth");
    expect_same_data(ours, old);
    cr_expect_eq(info_number(ours, "replication", "master_stream_refusals"), 0);
}

/* One make stops with its data saved, and the other starts with the same files. */
static void change_image(const char *config)
{
    struct server *old = server_start(DEBIAN, "%s", config), *ours = server_prepare(OURS, "%s", config);
    write_some(old, "first");
    const char *digest = command_text(old, "DEBUG DIGEST");
    server_stop(old);
    char line[512];
    snprintf(line, sizeof line, "dir %s", old->dir);
    server_add_config(ours, "%s", line);
    server_launch(ours);
    wait_until(info_is_if_there(ours, "persistence", "loading", "0"));
    cr_expect_str_eq(command_text(ours, "DEBUG DIGEST"), digest);
    write_some(ours, "second");
    digest = command_text(ours, "DEBUG DIGEST");
    server_stop(ours);
    server_launch(old);
    wait_until(info_is_if_there(old, "persistence", "loading", "0"));
    cr_expect_str_eq(command_text(old, "DEBUG DIGEST"), digest);
}

Test(upgrade, on_the_same_directory)
{
    change_image("save 3600 1");
    change_image("appendonly yes");
}

/* --- a fleet, one server after the other --- */

static void follow_partially(struct server *replica, struct server *master)
{
    struct sync_counts before = sync_counts(master);
    follow(replica, master);
    expect_same_data(replica, master);
    expect_syncs(master, before, 0, 1);
}

Test(upgrade, a_fleet_one_by_one)
{
    struct server *old = server_start(DEBIAN, "%s", ""), *first = server_start(DEBIAN, "%s", ""),
                  *stays = server_start(DEBIAN, "%s", ""), *ours = server_start(OURS, "%s", "");
    write_some(old, "before");
    struct server *followers[] = {first, stays, ours};
    for (int i = 0; i < 3; i++) {
        follow(followers[i], old);
        wait_in_step(followers[i], old);
    }
    expect_integer(old, 3, "WAIT 3 20000");
    hand_over(old, ours);
    follow_partially(first, ours);
    follow_partially(stays, ours);
    write_some(ours, "meanwhile");
    server_stop(first);
    struct server *second = server_start(OURS, "%s", "");
    struct sync_counts before = sync_counts(ours);
    follow(second, ours);
    expect_same_data(second, ours);
    expect_syncs(ours, before, 1, 0); /* its own; those that stay notice nothing */
    write_some(ours, "after");
    expect_same_data(stays, ours);
    expect_integer(ours, 3, "WAIT 3 20000");
    hand_over(ours, stays);
    follow_partially(old, stays);
    follow_partially(second, stays);
    write_some(stays, "back");
    expect_same_data(ours, stays);
    expect_same_data(second, stays);
}
