/* Faults around a replica that are nobody's network: a process that hangs, a clock that steps, peers that do not read
 * or take a file alone, snapshots that are refused. One fault a test. */
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

TestSuite(link_faults, .fini = server_finish_all, .timeout = 180);

static long long offset_of(struct server *s)
{
    return info_number(s, "replication", "master_repl_offset");
}

/* --- clocks --- */

/* An hour back, then two hours forth: neither stops nor hurries anything that is counted in time passed. */
Test(link_faults, a_step_of_the_wall_clock_is_no_passing_of_time)
{
    struct server *master = server_start(OURS, "repl-ping-replica-period 1\nrepl-timeout 30\ntimeout 600");
    struct server *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    static const int steps_ms[] = {-3600 * 1000, 7200 * 1000};
    for (int i = 0; i < 2; i++) {
        int waiting = raw_connect(master);
        raw_send_text(waiting, "BLPOP nothing 0.3\r\n");
        wait_until(info_number(master, "clients", "blocked_clients") == 1);
        long long lost = info_number(master, "stats", "total_connections_received");
        expect_ok(master, "DEBUG STEP-WALL-CLOCK %d", steps_ms[i]);
        expect_ok(replica, "DEBUG STEP-WALL-CLOCK %d", steps_ms[i]);
        long long before = offset_of(master);
        wait_until(offset_of(master) > before); /* a ping */
        raw_expect(waiting, "*-1\r\n");
        close(waiting);
        expect_ok(master, "CLIENT PAUSE 50 WRITE");
        expect_ok(master, "SET k %d", i); /* held, then done */
        expect_integer(master, 1, "WAIT 1 %d", PATIENCE_MS);
        expect_integer(master, 0, "OBJECT IDLETIME k");
        wait_in_step(replica, master);
        cr_assert_eq(info_number(master, "stats", "total_connections_received"), lost, "a link was lost");
        cr_assert_lt(info_number(replica, "replication", "master_last_io_seconds_ago"), 600);
        cr_assert_geq(info_number(replica, "replication", "master_last_io_seconds_ago"), 0);
        const char *clients = command_text(master, "CLIENT LIST TYPE replica");
        cr_assert_lt(atoi(strstr(clients, "age=") + 4), 600);
    }
}

/* --- who waits for a key of a replica --- */

static const char unblocked[] = "-UNBLOCKED force unblock from blocking operation, instance state changed "
                                "(master -> replica?)\r\n";

/* Another master: whoever waits is told so and let go, as Debian's server does it. */
static void lets_waiting_clients_go(enum server_kind kind)
{
    struct server *first = server_start(OURS, "%s", ""), *second = server_start(OURS, "%s", "");
    struct server *replica = server_start(kind, "%s", "");
    follow(replica, first);
    wait_in_step(replica, first);
    int waiting = raw_connect(replica);
    raw_send_text(waiting, "XREAD BLOCK 0 STREAMS s 0\r\n");
    wait_until(info_number(replica, "clients", "blocked_clients") == 1);
    follow(replica, second);
    raw_expect(waiting, unblocked);
    wait_until(raw_is_closed(waiting));
    close(waiting);
}

Test(link_faults, another_master_lets_waiting_clients_go)
{
    lets_waiting_clients_go(OURS);
    lets_waiting_clients_go(DEBIAN);
}

/* The same master with other data: what it brings is served, once it is all there. */
static void serves_what_a_full_sync_brings(const char *replica_config)
{
    struct server *master = server_start(OURS, "repl-backlog-size 16kb");
    struct server *replica = server_start(OURS, "%s", replica_config);
    struct proxy *proxy = proxy_start(master->port);
    expect_ok(master, "SET old 1");
    follow_port(replica, proxy_port(proxy));
    wait_in_step(replica, master);
    int waiting = raw_connect(replica);
    raw_send_text(waiting, "XREAD BLOCK 0 STREAMS s 0\r\n");
    wait_until(info_number(replica, "clients", "blocked_clients") == 1);
    proxy_cut(proxy);
    wait_until(info_number(master, "replication", "connected_slaves") == 0);
    expect_string(master, "1-1", "XADD s 1-1 f v");
    fill(master, "overrun:", 500, 1000);
    proxy_heal(proxy);
    raw_expect(waiting, "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n");
    expect_same_data(replica, master);
    cr_assert_eq(sync_counts(master).full, 2);
    close(waiting);
    proxy_stop(proxy);
}

Test(link_faults, a_full_sync_serves_who_waits_for_what_it_brings)
{
    serves_what_a_full_sync_brings("");
    serves_what_a_full_sync_brings("repl-diskless-load swapdb");
}

/* --- a loader that is slowed down --- */

static void loads_slowly(int old_keys, const char *replica_config)
{
    struct server *master = server_start(OURS, "%s", "");
    struct server *replica = server_start(OURS, "key-load-delay 200\n%s", replica_config);
    fill(master, "key:", 2000, 100);
    if (old_keys) fill(replica, "old:", old_keys, 10);
    follow(replica, master);
    expect_same_data(replica, master);
    cr_assert_eq(sync_counts(master).full, 1);
}

Test(link_faults, a_slowed_down_load_comes_to_its_end)
{
    loads_slowly(10, "");
    loads_slowly(10, "repl-diskless-load swapdb");
    loads_slowly(0, "");
}

/* --- a link that hangs --- */

/* It is there and does nothing: replicas would look online for ever, and pin the stream. */
Test(link_faults, a_link_that_hangs_is_replaced)
{
    struct server *master = server_start(OURS, "client-output-buffer-limit replica 8mb 0 0\nrepl-lz4 no");
    struct server *replica = server_start(OURS, "%s", "");
    follow(replica, master);
    wait_in_step(replica, master);
    struct sync_counts counts = sync_counts(master);
    pid_t link = server_link_pid(master);
    kill(link, SIGSTOP);
    expect_ok(master, "SET k 1");
    server_wait_log(master, 0, "has stopped: no sign of life");
    wait_until(!process_alive(link));
    expect_same_data(replica, master);
    expect_syncs(master, counts, 0, 1);
}

/* Neither the stopped link nor the descriptors' end may abort the master or make it wait. */
Test(link_faults, a_link_that_hangs_and_no_descriptor_left)
{
    struct server *master = server_start(OURS, "repl-backlog-size 1mb\nclient-output-buffer-limit replica 0 0 0");
    struct server *replica = server_start(OURS, "repl-timeout 4");
    follow(replica, master);
    wait_in_step(replica, master);
    struct rlimit before, starved = {3, 3};
    cr_assert_eq(prlimit(master->pid, RLIMIT_NOFILE, NULL, &before), 0);
    starved.rlim_max = before.rlim_max;
    kill(server_link_pid(master), SIGSTOP);
    cr_assert_eq(prlimit(master->pid, RLIMIT_NOFILE, &starved, NULL), 0);
    int64_t started_ms = clock_ms();
    fill(master, "key:", 30, 100000);
    cr_assert_lt(clock_ms() - started_ms, 900, "the loop waited");
    cr_assert_eq(info_number(master, "replication", "connected_slaves"), 1);
    server_wait_log(master, 0, "The replication stream cannot be shared any more");
    wait_until(info_number(master, "replication", "connected_slaves") == 0);
    cr_assert_eq(prlimit(master->pid, RLIMIT_NOFILE, &before, NULL), 0);
    fill(master, "later:", 10, 1000);
    expect_same_data(replica, master);
}

/* --- the program's file --- */

/* A server of which somebody has replaced the file (an upgrade) or taken it away goes on with what it is. */
Test(link_faults, the_link_is_the_running_program_whatever_became_of_its_file)
{
    struct server *master = server_prepare(OURS, "%s", ""), *replica = server_start(OURS, "%s", "");
    char program[512], other[512];
    server_path(master, "redis-server", program);
    server_path(master, "other", other);
    const char *copy[] = {"/bin/cp", server_program(OURS, "redis-server"), program, NULL};
    cr_assert_eq(process_run(copy, NULL).exit_code, 0);
    master->program = program;
    server_launch(master);
    FILE *f = fopen(other, "w");
    fputs("#!/bin/sh\nexit 1\n", f);
    fclose(f);
    cr_assert_eq(rename(other, program), 0);
    follow(replica, master);
    expect_same_data(replica, master);
    cr_assert_eq(unlink(program), 0);
    kill(server_link_pid(master), SIGKILL);
    wait_until(!link_is_up(replica));
    expect_same_data(replica, master);
}
