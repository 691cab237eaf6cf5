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
