/* Three of Debian's Sentinels watch our master and its two replicas: the master dies, one replica is promoted, the
 * other follows it by partial resync, the old master comes back as a replica. */
#include "tests/harness/replication.h"
#include "tests/harness/sentinels.h"
#include "tests/harness/wait.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(sentinel, .fini = server_finish_all, .timeout = 180);

static bool all_name_another(struct server *sentinels[3], const struct server *old_master)
{
    int port = sentinel_master_port(sentinels[0]);
    for (int i = 1; i < 3; i++)
        if (sentinel_master_port(sentinels[i]) != port) return false;
    return port != old_master->port;
}

Test(sentinel, failover)
{
    struct server *nodes[3], *sentinels[3];
    for (int i = 0; i < 3; i++) nodes[i] = server_start(OURS, "save 3600 1\nrepl-ping-replica-period 1");
    struct server *master = nodes[0];
    follow(nodes[1], master);
    follow(nodes[2], master);
    fill(master, "before:", 1000, 100);
    wait_in_step(nodes[1], master);
    wait_in_step(nodes[2], master);
    for (int i = 0; i < 3; i++)
        sentinels[i] = server_start(DEBIAN_SENTINEL,
                                    "sentinel monitor mymaster 127.0.0.1 %d 2\n"
                                    "sentinel down-after-milliseconds mymaster %d\n"
                                    "sentinel failover-timeout mymaster 10000\n"
                                    "sentinel parallel-syncs mymaster 2",
                                    master->port, DEBIANS_DOWN_AFTER_MS);
    for (int i = 0; i < 3; i++) wait_until(sentinel_knows(sentinels[i], 2, 2));
    fill(master, "watched:", 1000, 100);
    wait_in_step(nodes[1], master);
    wait_in_step(nodes[2], master);
    struct sync_counts counts[3];
    for (int i = 1; i < 3; i++) counts[i] = sync_counts(nodes[i]);

    server_kill(master);
    wait_until_within(60000, all_name_another(sentinels, master));
    int chosen = sentinel_master_port(sentinels[0]) == nodes[1]->port ? 1 : 2;
    struct server *promoted = nodes[chosen], *sibling = nodes[3 - chosen];
    cr_assert_eq(sentinel_master_port(sentinels[0]), promoted->port);
    /* A Sentinel that reconfigures a server also closes its clients' connections. */
    wait_until(info_is_if_there(promoted, "replication", "role", "master"));
    expect_integer(promoted, 2000, "DBSIZE");
    fill(promoted, "after:", 1000, 100);
    char port[16];
    snprintf(port, sizeof port, "%d", promoted->port);
    wait_until_within(60000, info_is_if_there(sibling, "replication", "master_port", port));
    expect_same_data(sibling, promoted);
    expect_syncs(promoted, counts[chosen], 0, 1);

    server_launch(master);
    wait_until_within(60000, info_is_if_there(master, "replication", "role", "slave"));
    expect_same_data(master, promoted);
    cr_assert(info_is(master, "replication", "master_port", port));
    expect_integer(master, 3000, "DBSIZE");
}
