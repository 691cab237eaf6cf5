/* What can go wrong with a replica, its master, the processes between them and the network, one fault a test. Each ends
 * with equal digests, and says which kind of resync led there. */
#include "tests/harness/proxy.h"
#include "tests/harness/raw.h"
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(faults, .fini = server_finish_all, .timeout = 180);

/* Nothing but what the test writes is in the stream: no ping in the middle of a count. */
#define QUIET "repl-ping-replica-period 3600\nrepl-timeout 3600\n"

/* Bytes on the wire are the stream's own: values that pack well would otherwise fit into the sockets' buffers. */
#define PLAIN "repl-lz4 no\n"

struct pair {
    struct server *master, *replica;
    struct proxy *proxy; /* between them */
    struct sync_counts counts;
};

static struct pair pair_in_step(const char *master_config, const char *replica_config)
{
    struct pair p = {server_start(OURS, "%s", master_config), server_start(OURS, "%s", replica_config), NULL, {0}};
    p.proxy = proxy_start(p.master->port);
    follow_port(p.replica, proxy_port(p.proxy));
    wait_in_step(p.replica, p.master);
    p.counts = sync_counts(p.master);
    return p;
}

static void cut_off(struct pair *p)
{
    proxy_cut(p->proxy);
    wait_until(!link_is_up(p->replica));
    wait_until(info_number(p->master, "replication", "connected_slaves") == 0);
}

/* --- processes --- */

Test(faults, link_killed_mid_stream)
{
    struct pair p = pair_in_step("", "");
    struct server *debian = server_start(DEBIAN, "%s", "");
    follow(debian, p.master);
    wait_in_step(debian, p.master);
    p.counts = sync_counts(p.master);
    for (int i = 0; i < 20000; i++) redisAppendCommand(connection(p.master), "SET key:%d %d", i % 5000, i);
    for (int i = 0; i < 20000; i++) {
        if (i == 10000) {
            pid_t link = server_link_pid(p.master);
            cr_assert(link > 0, "there should be a link process while replicas are attached");
            kill(link, SIGKILL);
        }
        freeReplyObject(receive(p.master));
    }
    expect_same_data(p.replica, p.master);
    expect_same_data(debian, p.master);
    /* One that asks before the server has noticed the link's end is granted its resync by the dead link, and asks
     * again. */
    struct sync_counts now = sync_counts(p.master);
    long long full = now.full - p.counts.full, partial = now.partial - p.counts.partial;
    cr_assert(full == 0 && partial >= 2 && partial <= 4, "%lld full and %lld partial resyncs", full, partial);
}

Test(faults, link_ends_with_its_server)
{
    struct pair p = pair_in_step("", "");
    pid_t link = server_link_pid(p.master);
    cr_assert(process_alive(link));
    server_kill(p.master);
    wait_until(!process_alive(link));
}

Test(faults, snapshot_child_killed_mid_snapshot)
{
    struct server *master = server_start(OURS, "rdb-key-save-delay 1000"), *replica = server_start(OURS, "%s", "");
    fill(master, "key:", 5000, 100);
    struct sync_counts counts = sync_counts(master);
    follow(replica, master);
    wait_until(server_snapshot_pid(master) > 0);
    expect_ok(master, "CONFIG SET rdb-key-save-delay 0");
    kill(server_snapshot_pid(master), SIGKILL);
    expect_same_data(replica, master);
    expect_syncs(master, counts, 2, 0);
    expect_integer(replica, 5000, "DBSIZE");
}

Test(faults, replica_killed_while_loading)
{
    struct server *master = server_start(OURS, "%s", "");
    fill(master, "key:", 5000, 100);
    struct server *replica = server_start(
        OURS, "replicaof 127.0.0.1 %d\nkey-load-delay 1000\nloading-process-events-interval-bytes 1024", master->port);
    wait_until(info_is_if_there(replica, "persistence", "loading", "1") ||
               info_is_if_there(replica, "persistence", "async_loading", "1"));
    server_kill(replica);
    fill(master, "later:", 1000, 100);
    server_add_config(replica, "key-load-delay 0");
    server_launch(replica);
    expect_same_data(replica, master);
    struct sync_counts counts = sync_counts(master); /* the file it had received may be as good as a second full sync */
    cr_assert(counts.full >= 1 && counts.full + counts.partial == 2);
}

Test(faults, replica_killed_while_following)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *replica = server_start(OURS, "replicaof 127.0.0.1 %d", master->port);
    wait_in_step(replica, master);
    struct sync_counts counts = sync_counts(master);
    for (int i = 0; i < 20000; i++) redisAppendCommand(connection(master), "SET key:%d %d", i % 5000, i);
    for (int i = 0; i < 20000; i++) {
        if (i == 10000) server_kill(replica);
        freeReplyObject(receive(master));
    }
    server_launch(replica);
    expect_same_data(replica, master);
    struct sync_counts now = sync_counts(master);
    cr_assert_eq(now.full + now.partial - counts.full - counts.partial, 1);
}

/* What the master wrote after its last save is lost with it; a replica that has seen it must not keep it. */
Test(faults, master_restarted_from_an_older_file)
{
    struct pair p = pair_in_step("save 3600 100000\nadopt-backlog no", "");
    fill(p.master, "saved:", 1000, 100);
    expect_ok(p.master, "SAVE");
    fill(p.master, "lost:", 1000, 100);
    wait_in_step(p.replica, p.master);
    server_restart(p.master);
    expect_same_data(p.replica, p.master);
    expect_integer(p.replica, 0, "EXISTS lost:1");
    cr_assert_eq(sync_counts(p.master).full, 1);
    cr_assert_eq(sync_counts(p.master).partial, 0);
}

/* Stopped with a save, a master comes back with its history: nobody needs a full sync. */
Test(faults, master_restarted_with_its_history)
{
    struct pair p = pair_in_step("save 3600 1", "");
    fill(p.master, "saved:", 1000, 100);
    wait_in_step(p.replica, p.master);
    server_stop(p.master);
    server_launch(p.master);
    expect_same_data(p.replica, p.master);
    cr_assert_eq(sync_counts(p.master).full, 0);
    cr_assert_eq(sync_counts(p.master).partial, 1);
}

/* Whether the backlog goes, or stays for the server's heir: who comes back after its time cannot continue. */
static void outlive_the_backlog(const char *config)
{
    struct pair p = pair_in_step(config, "repl-diskless-load disabled");
    proxy_cut(p.proxy);
    wait_until(info_number(p.master, "replication", "connected_slaves") == 0);
    wait_until(info_number(p.master, "replication", "repl_backlog_active") == 0);
    cr_expect_eq(info_number(p.master, "replication", "repl_backlog_histlen"), 0);
    fill(p.master, "later:", 10, 100);
    proxy_heal(p.proxy);
    expect_same_data(p.replica, p.master);
    expect_syncs(p.master, p.counts, 1, 0);
    expect_ok(p.master, "CONFIG SET repl-backlog-ttl 3600"); /* however long the next cut takes on a busy machine */
    proxy_cut(p.proxy);
    fill(p.master, "again:", 10, 100);
    proxy_heal(p.proxy);
    expect_same_data(p.replica, p.master);
    expect_syncs(p.master, p.counts, 1, 1);
}

Test(faults, a_backlog_past_its_time_serves_nobody)
{
    outlive_the_backlog("repl-backlog-ttl 1");
    outlive_the_backlog("repl-backlog-ttl 1\nappendonly yes");
    outlive_the_backlog("repl-backlog-ttl 1\nadopt-backlog no");
}

/* --- slow and silent peers --- */

Test(faults, frozen_replica_holds_nobody_up)
{
    struct pair p = pair_in_step(PLAIN, "");
    struct server *other = server_start(OURS, "%s", "");
    follow(other, p.master);
    wait_in_step(other, p.master);
    p.counts = sync_counts(p.master);
    server_freeze(p.replica);
    fill(p.master, "key:", 2000, 20000); /* 40 MB: far more than the backlog and the sockets hold */
    wait_in_step(other, p.master);
    server_thaw(p.replica);
    expect_same_data(p.replica, p.master);
    expect_same_data(other, p.master);
    expect_syncs(p.master, p.counts, 0, 0);
}

Test(faults, replica_past_the_output_limit_is_dropped)
{
    struct pair p = pair_in_step(PLAIN "repl-backlog-size 64kb\nclient-output-buffer-limit replica 2mb 0 0", "");
    long mark = server_log_end(p.master);
    server_freeze(p.replica);
    fill(p.master, "key:", 2000, 20000);
    wait_until(info_number(p.master, "replication", "connected_slaves") == 0);
    cr_assert_gt(server_log_end(p.master), mark, "dropping a replica deserves a log line");
    cr_assert_eq(info_number(p.master, "stats", "client_output_buffer_limit_disconnections"), 1);
    server_thaw(p.replica);
    expect_same_data(p.replica, p.master);
    expect_syncs(p.master, p.counts, 1, 0);
}

/* The master is gone and nobody told the replica: it finds out by itself. */
Test(faults, half_open_seen_from_the_replica)
{
    struct pair p = pair_in_step("repl-ping-replica-period 1", "repl-timeout 3");
    proxy_half_open(p.proxy);
    fill(p.master, "key:", 1000, 100);
    wait_until(!link_is_up(p.replica));
    proxy_heal(p.proxy);
    expect_same_data(p.replica, p.master);
    expect_syncs(p.master, p.counts, 0, 1);
}

/* The replica is gone and nobody told the master. */
Test(faults, half_open_seen_from_the_master)
{
    struct pair p = pair_in_step("repl-timeout 3\nrepl-ping-replica-period 1", "repl-timeout 3");
    proxy_deaf(p.proxy);
    fill(p.master, "key:", 1000, 100);
    wait_until(info_number(p.master, "replication", "connected_slaves") == 0);
    proxy_heal(p.proxy);
    expect_same_data(p.replica, p.master);
    expect_syncs(p.master, p.counts, 0, 1);
}

Test(faults, stalled_network_recovers_without_a_resync)
{
    struct pair p = pair_in_step(PLAIN, "");
    proxy_stall(p.proxy);
    fill(p.master, "key:", 2000, 5000);
    proxy_heal(p.proxy);
    expect_same_data(p.replica, p.master);
    expect_syncs(p.master, p.counts, 0, 0);
}

Test(faults, full_sync_cut_in_the_middle_starts_over)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    for (int i = 0; i < 500; i++) { /* nothing in it can be compressed */
        char value[10000];
        for (size_t k = 0; k < sizeof value; k++) value[k] = (char)random();
        redisReply *r = command(master, "SET key:%d %b", i, value, sizeof value);
        freeReplyObject(r);
    }
    struct proxy *proxy = proxy_start(master->port);
    static const uint64_t places[] = {1, 100, 5000, 1000000, 3000000};
    for (int i = 0; i < 5; i++) {
        uint64_t before = proxy_bytes_to_caller(proxy);
        proxy_heal(proxy);
        proxy_cut_after(proxy, places[i]);
        if (i == 0) follow_port(replica, proxy_port(proxy));
        wait_until(proxy_bytes_to_caller(proxy) - before >= places[i]);
        cr_assert(!link_is_up(replica));
    }
    proxy_heal(proxy);
    expect_same_data(replica, master);
    cr_assert_eq(sync_counts(master).partial, 0);
}

/* Cut at every byte of a command's way: whatever part of it arrived, the rest follows exactly once. */
static void cut_at_every_byte(const char *master_config, int cuts_at_least)
{
    struct pair p = pair_in_step(master_config, QUIET);
    expect_ok(p.master, "SET counter 0");
    wait_in_step(p.replica, p.master);
    p.counts = sync_counts(p.master);
    enum { BYTES = 56 }; /* two commands of 27 bytes, and a little more */
    for (int byte = 1; byte <= BYTES; byte++) {
        proxy_cut_after(p.proxy, byte);
        expect_integer(p.master, 2 * byte - 1, "INCR counter");
        expect_integer(p.master, 2 * byte, "INCR counter");
        wait_until(!link_is_up(p.replica) || in_step(p.replica, p.master));
        proxy_heal(p.proxy);
        wait_in_step(p.replica, p.master);
    }
    expect_string(p.replica, "112", "GET counter");
    expect_same_data(p.replica, p.master);
    struct sync_counts now = sync_counts(p.master);
    cr_assert_eq(now.full, p.counts.full);
    cr_assert_geq(now.partial - p.counts.partial, cuts_at_least);
}

Test(faults, stream_cut_at_every_byte)
{
    cut_at_every_byte(QUIET PLAIN, 53);
}
/* Both commands may leave in one packed block, which is short: fewer of the places lie within it. */
Test(faults, packed_stream_cut_at_every_byte)
{
    cut_at_every_byte(QUIET, 8);
}

/* --- the backlog's edges --- */

static long long first_offset(struct server *s)
{
    return info_number(s, "replication", "repl_backlog_first_byte_offset");
}
static long long end_offset(struct server *s)
{
    return info_number(s, "replication", "master_repl_offset");
}

/* One SET that is `bytes` long in the stream; bytes must leave room for a value of three digits' length. */
static void write_bytes(struct server *master, long long bytes)
{
    static char value[1000];
    long long value_len = bytes - (long long)strlen("*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$123\r\n\r\n");
    cr_assert(value_len >= 100 && value_len <= 999, "value of %lld bytes", value_len);
    memset(value, 'x', sizeof value);
    redisReply *r = command(master, "SET x %b", value, (size_t)value_len);
    freeReplyObject(r);
}

static void write_exactly(struct server *master, long long bytes)
{
    long long before = end_offset(master);
    write_bytes(master, bytes);
    cr_assert_eq(end_offset(master), before + bytes);
}

/* Moves the window's first byte exactly to `first`. */
static void advance_window_to(struct server *master, long long first)
{
    while (first_offset(master) < first - 1000) write_exactly(master, 500);
    long long rest = first - first_offset(master);
    if (rest > 500) write_exactly(master, 300), rest -= 300;
    if (rest) write_exactly(master, rest);
    cr_assert_eq(first_offset(master), first);
}

static void expect_edge(int too_far, long long full, long long partial)
{
    struct pair p = pair_in_step(QUIET "repl-backlog-size 16kb", QUIET);
    while (info_number(p.master, "replication", "repl_backlog_histlen") < 16384) {
        write_bytes(p.master, 500);
        expect_integer(p.master, 1, "WAIT 1 %d", PATIENCE_MS); /* a replica that lags would make the ring grow */
    }
    wait_in_step(p.replica, p.master);
    long long has = end_offset(p.master);
    cut_off(&p);
    advance_window_to(p.master, has + 1 + too_far);
    proxy_heal(p.proxy);
    expect_same_data(p.replica, p.master);
    expect_syncs(p.master, p.counts, full, partial);
}

Test(faults, backlog_overrun_missed_by_one_byte)
{
    expect_edge(0, 0, 1);
}
Test(faults, backlog_overrun_by_one_byte)
{
    expect_edge(1, 1, 0);
}

/* The ring wraps at every place inside a command. */
Test(faults, ring_wrap_at_every_alignment)
{
    struct pair p = pair_in_step(QUIET "repl-backlog-size 16kb", QUIET);
    for (int round = 0; round < 140; round++) {
        if (round % 20 == 10) cut_off(&p);
        for (int i = 0; i < 120; i++) write_bytes(p.master, 137);
        if (round % 20 != 10) continue;
        proxy_heal(p.proxy);
        wait_in_step(p.replica, p.master);
    }
    expect_same_data(p.replica, p.master);
}

Test(faults, value_larger_than_the_backlog)
{
    struct pair p = pair_in_step("repl-backlog-size 16kb", "");
    enum { BYTES = 8 << 20 };
    fill(p.master, "big:", 3, BYTES);
    expect_same_data(p.replica, p.master);
    expect_syncs(p.master, p.counts, 0, 0);
    cut_off(&p);
    fill(p.master, "bigger:", 4, BYTES);
    proxy_heal(p.proxy);
    expect_same_data(p.replica, p.master);
    expect_syncs(p.master, p.counts, 1, 0);
}

Test(faults, backlog_resized_while_followed)
{
    struct pair p = pair_in_step("repl-backlog-size 16kb", "");
    static const char *const sizes[] = {"1mb", "32kb", "4mb", "16kb"};
    for (int i = 0; i < 4; i++) {
        fill(p.master, "key:", 500, 100);
        expect_ok(p.master, "CONFIG SET repl-backlog-size %s", sizes[i]);
        fill(p.master, "key:", 500, 200);
    }
    expect_same_data(p.replica, p.master);
    expect_syncs(p.master, p.counts, 0, 0);
    cr_assert_eq(info_number(p.master, "replication", "repl_backlog_size"), 16384);
}

/* --- exhausted resources --- */

Test(faults, shared_memory_full)
{
    if (!process_can_have_own_shm()) cr_skip_test("this user may not mount a small /dev/shm");
    struct server *master = server_prepare(OURS, "%s", ""), *replica = server_prepare(OURS, "%s", "");
    master->limits.shm_bytes = replica->limits.shm_bytes = 65536; /* smaller than the default backlog */
    server_launch(master);
    server_launch(replica);
    follow(replica, master);
    fill(master, "key:", 5000, 1000);
    expect_same_data(replica, master);
    cr_assert_eq(sync_counts(master).full, 1);
}

/* No descriptor left for a link, a spool or (on epoll) the replica's connection: who is in is served, and the replica
 * gets its sync as soon as there are some again. */
Test(faults, out_of_descriptors)
{
    struct server *master = server_start(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    fill(master, "key:", 1000, 100);
    struct rlimit before, starved = {3, 3};
    cr_assert_eq(prlimit(master->pid, RLIMIT_NOFILE, NULL, &before), 0);
    starved.rlim_max = before.rlim_max;
    cr_assert_eq(prlimit(master->pid, RLIMIT_NOFILE, &starved, NULL), 0);
    follow(replica, master);
    for (int i = 0; i < 50; i++) {
        int fd = raw_connect(master);
        expect_ok(master, "SET while:%d starved", i);
        close(fd);
    }
    cr_assert(!link_is_up(replica));
    cr_assert_eq(prlimit(master->pid, RLIMIT_NOFILE, &before, NULL), 0);
    expect_same_data(replica, master);
    cr_assert_eq(sync_counts(master).partial, 0);
}

/* --- many at once --- */

Test(faults, eight_joining_replicas_cost_one_fork)
{
    enum { REPLICAS = 8, KEYS = 20000 };
    struct server *master = server_start(OURS, "rdb-key-save-delay 20\nclient-output-buffer-limit replica 0 0 0"),
                  *replicas[REPLICAS];
    fill(master, "key:", KEYS, 100);
    for (int i = 0; i < REPLICAS; i++) replicas[i] = server_start(i % 4 == 3 ? DEBIAN : OURS, "%s", "");
    long long forks = info_number(master, "stats", "total_forks");
    for (int i = 0; i < REPLICAS; i++) {
        follow(replicas[i], master);
        fill(master, "key:", 500, 110);
    }
    for (int i = 0; i < REPLICAS; i++)
        while (!link_is_up(replicas[i])) fill(master, "key:", 500, 120);
    for (int i = 0; i < REPLICAS; i++) expect_same_data(replicas[i], master);
    cr_assert_eq(info_number(master, "stats", "total_forks") - forks, 1);
    cr_assert_eq(sync_counts(master).full, REPLICAS);
}
