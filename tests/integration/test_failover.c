/* FAILOVER that does not come to pass: the master stays one, and its log says once why. */
#include "tests/harness/replication.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(failover, .fini = server_finish_all, .timeout = 60);

static struct server *start_pair(struct server **replica)
{
    struct server *master = server_start(OURS, "repl-diskless-sync-delay 0");
    *replica = server_start(OURS, "%s", "");
    follow(*replica, master);
    wait_in_step(*replica, master);
    wait_online((*replica)->port, master);
    return master;
}

Test(failover, a_target_may_refuse)
{
    struct server *replica, *master = start_pair(&replica);
    struct sync_counts counts = sync_counts(master);
    char told[128];
    expect_ok(replica, "ACL SETUSER default -psync");
    long mark = server_log_end(master);
    expect_ok(master, "FAILOVER");
    wait_until(info_is(master, "replication", "master_failover_state", "no-failover") &&
               info_is(master, "replication", "role", "master"));
    snprintf(told, sizeof told, "FAILOVER to 127.0.0.1:%d aborted: Failover target rejected psync request",
             replica->port);
    server_wait_log(master, mark, "FAILOVER requested to any replica.");
    server_wait_log(master, mark, told);
    server_wait_log(master, mark, "answers: -NOPERM");
    expect_ok(master, "SET still mine");
    wait_in_step(replica, master);
    expect_syncs(master, counts, 0, 1);
    expect_ok(replica, "ACL SETUSER default +psync");
    expect_ok(master, "FAILOVER");
    wait_until(info_is(replica, "replication", "role", "master"));
    wait_in_step(master, replica);
}

Test(failover, a_target_that_is_behind_is_waited_for_no_longer_than_asked)
{
    struct server *replica, *master = start_pair(&replica);
    char told[128];
    server_freeze(replica);
    expect_ok(master, "SET a b");
    long mark = server_log_end(master);
    expect_ok(master, "FAILOVER TO 127.0.0.1 %d TIMEOUT 50", replica->port);
    snprintf(told, sizeof told, "FAILOVER to 127.0.0.1:%d aborted: Replica never caught up before timeout",
             replica->port);
    server_wait_log(master, mark, told);
    expect_ok(master, "FAILOVER");
    expect_ok(master, "FAILOVER ABORT");
    server_wait_log(master, mark, "FAILOVER to any replica aborted: Failover manually aborted");
    server_thaw(replica);
    wait_in_step(replica, master);
    cr_expect(info_is(master, "replication", "role", "master") && info_is(replica, "replication", "role", "slave"));
    expect_string(replica, "b", "GET a");
}
