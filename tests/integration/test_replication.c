/* Replication between whole servers, ours and Debian's in every place: full sync, following, partial resync after a
 * cut, full resync after an overrun, chains, promotion and return. Each ends with equal digests, and the kind of resync
 * is asserted from the counters of the server that granted it. */
#include "tests/harness/proxy.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(replication, .fini = server_finish_all, .timeout = 180);

static void write_some_of_everything(struct server *s, const char *prefix)
{
    fill(s, prefix, 500, 64);
    for (int i = 0; i < 100; i++) {
        expect_ok(s, "SELECT %d", i % 16);
        expect_ok(s, "SET %sends%d v EX 5000", prefix, i);
        expect_integer(s, 7, "INCRBY %scount%d 7", prefix, i);
        expect_integer(s, 4, "APPEND %scount%d abc", prefix, i);
        if (i % 3 == 0) expect_integer(s, 1, "DEL %sends%d", prefix, i);
        if (i % 5 == 0) {
            expect_ok(s, "MULTI");
            expect_status(s, "QUEUED", "SET %sa%d 1", prefix, i);
            expect_status(s, "QUEUED", "INCR %sa%d", prefix, i);
            freeReplyObject(command(s, "EXEC"));
        }
    }
    expect_ok(s, "SELECT 0");
}

static void expect_full_sync_and_following(enum server_kind master_kind, enum server_kind replica_kind)
{
    struct server *master = server_start(master_kind, "%s", ""), *replica = server_start(replica_kind, "%s", "");
    write_some_of_everything(master, "before:");
    fill(replica, "stale:", 100, 10); /* goes with the full sync */
    struct sync_counts counts = sync_counts(master);
    follow(replica, master);
    expect_same_data(replica, master);
    expect_syncs(master, counts, 1, 0);
    write_some_of_everything(master, "after:");
    expect_same_data(replica, master);
    expect_syncs(master, counts, 1, 0);
    cr_assert_eq(info_number(master, "replication", "connected_slaves"), 1);
    cr_assert(info_is(replica, "replication", "role", "slave"));
    expect_error(replica, "READONLY You can't write against a read only replica.", "SET a 1");
    expect_integer(master, 1, "WAIT 1 %d", PATIENCE_MS);
}

Test(replication, full_ours_ours)
{
    expect_full_sync_and_following(OURS, OURS);
}
Test(replication, full_ours_debian)
{
    expect_full_sync_and_following(OURS, DEBIAN);
}
Test(replication, full_debian_ours)
{
    expect_full_sync_and_following(DEBIAN, OURS);
}

static void expect_partial_after_cuts(enum server_kind master_kind, enum server_kind replica_kind)
{
    struct server *master = server_start(master_kind, "%s", ""), *replica = server_start(replica_kind, "%s", "");
    struct proxy *proxy = proxy_start(master->port);
    write_some_of_everything(master, "before:");
    follow_port(replica, proxy_port(proxy));
    wait_in_step(replica, master);
    struct sync_counts counts = sync_counts(master);
    for (int cut = 1; cut <= 3; cut++) {
        proxy_cut(proxy);
        wait_until(!link_is_up(replica));
        write_some_of_everything(master, cut == 1 ? "first:" : cut == 2 ? "second:" : "third:");
        proxy_heal(proxy);
        expect_same_data(replica, master);
        expect_syncs(master, counts, 0, cut);
    }
    proxy_stop(proxy);
}

Test(replication, partial_ours_ours)
{
    expect_partial_after_cuts(OURS, OURS);
}
Test(replication, partial_ours_debian)
{
    expect_partial_after_cuts(OURS, DEBIAN);
}
Test(replication, partial_debian_ours)
{
    expect_partial_after_cuts(DEBIAN, OURS);
}

static void expect_full_after_overrun(enum server_kind master_kind, enum server_kind replica_kind)
{
    struct server *master = server_start(master_kind, "repl-backlog-size 16kb");
    struct server *replica = server_start(replica_kind, "%s", "");
    struct proxy *proxy = proxy_start(master->port);
    follow_port(replica, proxy_port(proxy));
    wait_in_step(replica, master);
    struct sync_counts counts = sync_counts(master);
    proxy_cut(proxy);
    wait_until(info_number(master, "replication", "connected_slaves") == 0);
    fill(master, "overrun:", 1000, 1000);
    proxy_heal(proxy);
    expect_same_data(replica, master);
    expect_syncs(master, counts, 1, 0);
    cr_assert_eq(sync_counts(master).refused - counts.refused, 1);
    proxy_stop(proxy);
}

Test(replication, overrun_ours_ours)
{
    expect_full_after_overrun(OURS, OURS);
}
Test(replication, overrun_ours_debian)
{
    expect_full_after_overrun(OURS, DEBIAN);
}
Test(replication, overrun_debian_ours)
{
    expect_full_after_overrun(DEBIAN, OURS);
}

/* head <- middle <- tail; the link between the first two is cut, and the tail must not even notice. */
static void expect_chain(enum server_kind head_kind, enum server_kind middle_kind, enum server_kind tail_kind)
{
    struct server *head = server_start(head_kind, "%s", ""), *middle = server_start(middle_kind, "%s", "");
    struct server *tail = server_start(tail_kind, "%s", "");
    struct proxy *proxy = proxy_start(head->port);
    write_some_of_everything(head, "before:");
    follow_port(middle, proxy_port(proxy));
    wait_in_step(middle, head);
    follow(tail, middle);
    wait_in_step(tail, middle);
    struct sync_counts of_head = sync_counts(head), of_middle = sync_counts(middle);
    write_some_of_everything(head, "after:");
    expect_same_data(middle, head);
    expect_same_data(tail, head);
    proxy_cut(proxy);
    wait_until(!link_is_up(middle));
    write_some_of_everything(head, "cut:");
    proxy_heal(proxy);
    expect_same_data(middle, head);
    expect_same_data(tail, head);
    expect_syncs(head, of_head, 0, 1);
    expect_syncs(middle, of_middle, 0, 0);
    proxy_stop(proxy);
}

Test(replication, chain_ours_ours_ours)
{
    expect_chain(OURS, OURS, OURS);
}
Test(replication, chain_ours_debian_ours)
{
    expect_chain(OURS, DEBIAN, OURS);
}
Test(replication, chain_debian_ours_debian)
{
    expect_chain(DEBIAN, OURS, DEBIAN);
}

/* The tail of a chain can be told to follow the head directly: same history, so no full sync. */
Test(replication, chain_shortened_by_partial_resync)
{
    struct server *head = server_start(OURS, "%s", ""), *middle = server_start(OURS, "%s", "");
    struct server *tail = server_start(OURS, "%s", "");
    follow(middle, head);
    follow(tail, middle);
    wait_in_step(middle, head);
    wait_in_step(tail, head);
    struct sync_counts counts = sync_counts(head);
    follow(tail, head);
    write_some_of_everything(head, "after:");
    expect_same_data(tail, head);
    expect_syncs(head, counts, 0, 1);
}

/* One replica is promoted, its sibling and the old master follow it by partial resync. */
static void expect_promotion(enum server_kind promoted_kind, enum server_kind sibling_kind)
{
    struct server *old = server_start(OURS, "%s", "");
    struct server *promoted = server_start(promoted_kind, "%s", ""), *sibling = server_start(sibling_kind, "%s", "");
    follow(promoted, old);
    follow(sibling, old);
    write_some_of_everything(old, "before:");
    wait_in_step(promoted, old);
    wait_in_step(sibling, old);
    const char *old_id = info_text(old, "replication", "master_replid");
    promote(promoted);
    cr_assert(info_is(promoted, "replication", "role", "master"));
    cr_assert_str_eq(info_text(promoted, "replication", "master_replid2"), old_id);
    cr_assert_str_neq(info_text(promoted, "replication", "master_replid"), old_id);
    struct sync_counts counts = sync_counts(promoted);
    write_some_of_everything(promoted, "after:");
    follow(sibling, promoted);
    follow(old, promoted);
    expect_same_data(sibling, promoted);
    expect_same_data(old, promoted);
    expect_syncs(promoted, counts, 0, 2);
}

Test(replication, promotion_of_ours)
{
    expect_promotion(OURS, OURS);
}
Test(replication, promotion_of_ours_over_debian)
{
    expect_promotion(OURS, DEBIAN);
}
Test(replication, promotion_of_debian_over_ours)
{
    expect_promotion(DEBIAN, OURS);
}

/* An old master that wrote on after the promotion has a history of its own: full resync, its writes are gone. */
Test(replication, diverged_master_returns_by_full_resync)
{
    struct server *old = server_start(OURS, "%s", ""), *promoted = server_start(OURS, "%s", "");
    follow(promoted, old);
    wait_in_step(promoted, old);
    promote(promoted);
    struct sync_counts counts = sync_counts(promoted);
    fill(old, "lost:", 100, 10);
    fill(promoted, "kept:", 10, 10);
    follow(old, promoted);
    expect_same_data(old, promoted);
    expect_syncs(promoted, counts, 1, 0);
    expect_integer(old, 0, "EXISTS lost:1");
}

Test(replication, replica_restarted_from_its_file_continues)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *replica = server_start(OURS, "save 3600 1\nreplicaof 127.0.0.1 %d", master->port);
    write_some_of_everything(master, "before:");
    wait_in_step(replica, master);
    struct sync_counts counts = sync_counts(master);
    server_stop(replica);
    write_some_of_everything(master, "after:");
    server_launch(replica);
    expect_same_data(replica, master);
    expect_syncs(master, counts, 0, 1);
}

Test(replication, password_of_the_master)
{
    struct server *master = server_start(OURS, "requirepass secret");
    struct server *replica = server_start(OURS, "masterauth wrong\nreplicaof 127.0.0.1 %d", master->port);
    expect_ok(master, "AUTH secret");
    write_some_of_everything(master, "k:");
    server_wait_log(replica, 0, "Unable to AUTH to MASTER");
    expect_ok(replica, "CONFIG SET masterauth secret");
    expect_same_data(replica, master);
}

Test(replication, source_address)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *replica = server_start(OURS, "bind-source-addr 127.0.0.2\nreplicaof 127.0.0.1 %d", master->port);
    write_some_of_everything(master, "k:");
    expect_same_data(replica, master);
    wait_until(strncmp(info_text(master, "replication", "slave0"), "ip=127.0.0.2,", 13) == 0);
    struct server *other = server_start(OURS, "bind-source-addr ::1\nreplicaof 127.0.0.1 %d", master->port);
    expect_same_data(other, master);
    server_wait_log(other, 0, "connecting from any address");
}

/* The first replica's snapshot, and the stream behind it, do not lead to them. */
Test(replication, changes_that_the_stream_does_not_say_are_in_the_next_full_sync)
{
    struct server *master = server_start(OURS, "%s", ""), *first = server_start(OURS, "%s", "");
    follow(first, master);
    wait_in_step(first, master);
    expect_ok(master, "DEBUG POPULATE 10");
    struct server *second = server_start(OURS, "%s", "");
    follow(second, master);
    wait_in_step(second, master);
    expect_integer(second, 10, "DBSIZE");
    freeReplyObject(
        command(master, "EVAL %s 1 here", "redis.set_repl(redis.REPL_NONE) redis.call('set', KEYS[1], 'x')"));
    struct server *third = server_start(OURS, "%s", "");
    follow(third, master);
    wait_in_step(third, master);
    expect_string(third, "x", "GET here");
    expect_integer(second, 10, "DBSIZE");
}

Test(replication, what_clients_wrote_into_a_writable_replica_is_in_the_next_full_sync_from_it)
{
    struct server *master = server_start(OURS, "%s", ""), *middle = server_start(OURS, "replica-read-only no");
    struct server *first = server_start(OURS, "%s", ""), *second = server_start(OURS, "%s", "");
    follow(middle, master);
    follow(first, middle);
    expect_ok(master, "SET k v");
    wait_in_step(first, master);
    expect_ok(middle, "SET local x");
    follow(second, middle);
    wait_in_step(second, master);
    expect_string(second, "x", "GET local");
    expect_nil(first, "GET local");
}

Test(replication, a_shutdown_tells_who_is_in_sync)
{
    struct server *master = server_start(OURS, "shutdown-timeout 1"), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    expect_ok(master, "SET a b");
    wait_in_step(replica, master);
    server_stop(master);
    cr_expect(server_log_has(master, 0, "1 of 1 replicas are in sync when shutting down."));
    server_launch(master);
    wait_until(link_is_up(replica));
    server_freeze(replica);
    expect_ok(master, "SET a c");
    server_stop(master);
    cr_expect(server_log_has(master, 0, "Lagging replica 127.0.0.1:"));
    cr_expect(server_log_has(master, 0, "0 of 1 replicas are in sync when shutting down."));
    server_thaw(replica);
}

Test(replication, no_disk_between)
{
    struct server *master = server_start(OURS, "repl-diskless-sync yes");
    struct server *replica = server_start(OURS, "repl-diskless-load swapdb");
    struct server *debian = server_start(DEBIAN, "repl-diskless-load swapdb");
    write_some_of_everything(master, "before:");
    fill(master, "big:", 200, 50000);
    follow(replica, master);
    follow(debian, master);
    expect_same_data(replica, master);
    expect_same_data(debian, master);
    expect_ok(master, "CONFIG SET repl-diskless-sync no");
    promote(replica);
    promote(debian);
    struct sync_counts counts = sync_counts(master);
    fill(replica, "own:", 10, 10);
    fill(debian, "own:", 10, 10);
    follow(replica, master);
    follow(debian, master);
    expect_same_data(replica, master);
    expect_same_data(debian, master);
    expect_syncs(master, counts, 2, 0);
}

Test(replication, swapped_in_data_replaces_the_old_only_when_complete)
{
    struct server *master = server_start(OURS, "rdbcompression no\nrepl-lz4 no");
    struct server *replica = server_start(OURS, "repl-diskless-load swapdb\nkey-load-delay 2000");
    fill(master, "new:", 1000, 20000);
    expect_ok(replica, "SET old 1");
    struct proxy *proxy = proxy_start(master->port);
    follow_port(replica, proxy_port(proxy));
    wait_until(info_is(replica, "persistence", "async_loading", "1"));
    cr_assert(info_is(replica, "persistence", "loading", "0"));
    expect_string(replica, "1", "GET old");
    expect_integer(replica, 1, "DBSIZE");
    expect_error(replica, "LOADING", "BGSAVE");
    proxy_cut(proxy);
    wait_until(info_is(replica, "persistence", "async_loading", "0"));
    expect_string(replica, "1", "GET old");
    expect_integer(replica, 1, "DBSIZE");
    expect_ok(replica, "CONFIG SET key-load-delay 0");
    proxy_heal(proxy);
    expect_same_data(replica, master);
    expect_nil(replica, "GET old");
    expect_ok(master, "SET later 1");
    expect_same_data(replica, master);
}

Test(replication, a_paused_replica_holds_its_masters_stream)
{
    struct server *master = server_start(OURS, "repl-ping-replica-period 3600");
    struct server *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    expect_ok(master, "SET k 1");
    wait_in_step(replica, master);
    long long applied = info_number(replica, "replication", "slave_repl_offset");
    expect_ok(replica, "CLIENT PAUSE 100000 WRITE");
    expect_ok(master, "SET k 2");
    long long written = info_number(master, "replication", "master_repl_offset");
    wait_until(info_number(replica, "replication", "slave_read_repl_offset") == written);
    cr_assert_eq(info_number(replica, "replication", "slave_repl_offset"), applied);
    expect_string(replica, "1", "GET k");
    expect_ok(replica, "CLIENT UNPAUSE");
    wait_until(info_number(replica, "replication", "slave_repl_offset") == written);
    expect_string(replica, "2", "GET k");
}

Test(replication, the_link_to_the_master_can_be_killed_by_its_address)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    expect_ok(master, "SET k 1");
    wait_in_step(replica, master);
    struct sync_counts counts = sync_counts(master);
    expect_error(replica, "ERR No such client", "CLIENT KILL 127.0.0.1:1");
    expect_ok(replica, "CLIENT KILL 127.0.0.1:%d", master->port);
    expect_same_data(replica, master);
    expect_syncs(master, counts, 0, 1);
    expect_integer(replica, 1, "CLIENT KILL TYPE master");
    expect_same_data(replica, master);
    expect_syncs(master, counts, 0, 2);
}

Test(replication, stale_data_can_be_refused)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    expect_ok(master, "SET a 1");
    wait_in_step(replica, master);
    server_kill(master);
    wait_until(!link_is_up(replica));
    expect_string(replica, "1", "GET a");
    expect_ok(replica, "CONFIG SET replica-serve-stale-data no");
    expect_error(replica, "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "GET a");
    cr_assert(info_is(replica, "replication", "master_link_status", "down"));
}

Test(replication, too_few_replicas_stop_writes)
{
    struct server *master = server_start(OURS, "min-replicas-to-write 1\nmin-replicas-max-lag 2");
    struct server *replica = server_start(OURS, "%s", "");
    expect_error(master, "NOREPLICAS Not enough good replicas to write.", "SET a 1");
    follow(replica, master);
    wait_until(info_number(master, "replication", "min_slaves_good_slaves") == 1);
    expect_ok(master, "SET a 1");
    server_freeze(replica);
    wait_until(info_number(master, "replication", "min_slaves_good_slaves") == 0);
    expect_error(master, "NOREPLICAS", "SET a 2");
    server_thaw(replica);
    wait_until(info_number(master, "replication", "min_slaves_good_slaves") == 1);
    expect_ok(master, "SET a 2");
}

Test(replication, wait_counts_replicas)
{
    struct server *master = server_start(OURS, "%s", ""), *a = server_start(OURS, "%s", "");
    struct server *b = server_start(DEBIAN, "%s", "");
    follow(a, master);
    follow(b, master);
    wait_in_step(a, master);
    wait_in_step(b, master);
    expect_ok(master, "SET x 1");
    expect_integer(master, 2, "WAIT 2 %d", PATIENCE_MS);
    server_freeze(b);
    expect_ok(master, "SET x 2");
    expect_integer(master, 1, "WAIT 1 %d", PATIENCE_MS);
    expect_integer(master, 1, "WAIT 2 100");
    server_thaw(b);
    expect_integer(master, 2, "WAIT 2 %d", PATIENCE_MS);
}

Test(replication, failover_hands_over_without_a_full_sync)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    write_some_of_everything(master, "before:");
    wait_in_step(replica, master);
    wait_online(replica->port, master);
    struct sync_counts counts = sync_counts(replica);
    expect_ok(master, "FAILOVER TO 127.0.0.1 %d TIMEOUT %d", replica->port, PATIENCE_MS);
    wait_until(info_is(replica, "replication", "role", "master"));
    wait_until(info_is(master, "replication", "role", "slave"));
    write_some_of_everything(replica, "after:");
    expect_same_data(master, replica);
    expect_syncs(replica, counts, 0, 1);
}

/* Expiry is the master's decision: the replica keeps the key until it is told, and does not show it. */
Test(replication, expiry_reaches_replicas)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(master, "SET short v PX 150");
    expect_ok(master, "SET long v EX 1000");
    wait_until(command_integer(replica, "EXISTS short") == 0);
    wait_until(command_integer(replica, "DBSIZE") == 1);
    expect_same_data(replica, master);
}

/* But what a writable replica's own clients wrote no master knows of. Debian's replica does the same. */
static void expires_its_own(enum server_kind kind)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(kind, "replica-read-only no");
    expect_ok(master, "DEBUG SET-ACTIVE-EXPIRE 0");
    follow(replica, master);
    wait_in_step(replica, master);
    expect_ok(replica, "SET own v");
    expect_ok(replica, "SET own:short v PX 100");
    expect_integer(replica, 1, "HSET own:hash f v");
    expect_integer(replica, 1, "PEXPIRE own:hash 100");
    expect_integer(replica, 1, "SADD own:long m");
    expect_integer(replica, 1, "EXPIRE own:long 1000");
    expect_ok(master, "SET theirs v PX 1");
    wait_in_step(replica, master);
    wait_until(command_integer(replica, "DBSIZE") == 3); /* own, own:long, and theirs, hidden */
    expect_integer(replica, 2, "EXISTS own own:long theirs");
    expect_integer(replica, 3, "DBSIZE");
    cr_assert_eq(info_number(replica, "stats", "expired_keys"), 2);
}

Test(replication, a_writable_replica_expires_what_its_clients_wrote)
{
    expires_its_own(OURS);
    expires_its_own(DEBIAN);
}

Test(replication, info_and_role_tell_the_same)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "ip=127.0.0.1,port=%d,state=online,offset=", replica->port);
    wait_until(strncmp(info_text(master, "replication", "slave0"), wanted, strlen(wanted)) == 0);
    cr_assert_str_eq(info_text(master, "replication", "second_repl_offset"), "-1");
    cr_assert_eq(info_number(master, "replication", "repl_backlog_size"), 1048576);
    redisReply *role = command(master, "ROLE");
    cr_assert(role->elements == 3 && strcmp(role->element[0]->str, "master") == 0 && role->element[2]->elements == 1);
    cr_assert_eq(atoi(role->element[2]->element[0]->element[1]->str), replica->port);
    freeReplyObject(role);
    role = command(replica, "ROLE");
    cr_assert(role->elements == 5 && strcmp(role->element[0]->str, "slave") == 0);
    cr_assert_eq(role->element[2]->integer, master->port);
    cr_assert_str_eq(role->element[3]->str, "connected");
    freeReplyObject(role);
}
