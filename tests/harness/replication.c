/* Waiting for replicas, and counting the resyncs that their masters grant. */
#include "tests/harness/replication.h"

#include "tests/harness/wait.h"

#include <stdio.h>
#include <string.h>

void follow_port(struct server *replica, int port)
{
    expect_ok(replica, "REPLICAOF 127.0.0.1 %d", port);
}
void follow(struct server *replica, const struct server *master)
{
    follow_port(replica, master->port);
}
void promote(struct server *replica)
{
    expect_ok(replica, "REPLICAOF NO ONE");
}

bool link_is_up(struct server *replica)
{
    return info_is_if_there(replica, "replication", "master_link_status", "up");
}

bool in_step(struct server *replica, struct server *master)
{
    char id[64], offset[32];
    return link_is_up(replica) && info_text_if_there(master, "replication", "master_replid", id, sizeof id) &&
           info_text_if_there(master, "replication", "master_repl_offset", offset, sizeof offset) &&
           info_is_if_there(replica, "replication", "master_replid", id) &&
           info_is_if_there(replica, "replication", "slave_repl_offset", offset);
}

void wait_in_step(struct server *replica, struct server *master)
{
    wait_until(in_step(replica, master));
}

void wait_online(int replica_port, struct server *master)
{
    char online[64];
    snprintf(online, sizeof online, ",port=%d,state=online,", replica_port);
    wait_until(strstr(command_text(master, "INFO replication"), online));
}

void expect_same_data(struct server *replica, struct server *master)
{
    wait_in_step(replica, master);
    const char *theirs = command_text(master, "DEBUG DIGEST"), *mine = command_text(replica, "DEBUG DIGEST");
    if (strcmp(theirs, mine) != 0)
        harness_fail("port %d has digest %s, its master on port %d %s", replica->port, mine, master->port, theirs);
}

struct sync_counts sync_counts(struct server *master)
{
    return (struct sync_counts){info_number(master, "stats", "sync_full"),
                                info_number(master, "stats", "sync_partial_ok"),
                                info_number(master, "stats", "sync_partial_err")};
}

void expect_syncs_at(const char *file, int line, struct server *master, struct sync_counts since, long long full,
                     long long partial)
{
    struct sync_counts now = sync_counts(master);
    if (now.full - since.full != full || now.partial - since.partial != partial)
        harness_fail_at(file, line, "port %d granted %lld full and %lld partial resyncs; expected %lld and %lld",
                        master->port, now.full - since.full, now.partial - since.partial, full, partial);
}
