/* What replication tests ask again and again: who follows whom, is it in step, which kind of resync was it. */
#ifndef HARNESS_REPLICATION_H
#define HARNESS_REPLICATION_H

#include "tests/harness/client.h"

/* REPLICAOF; does not wait. follow_port() goes to a proxy. */
void follow(struct server *replica, const struct server *master);
void follow_port(struct server *replica, int port);
void promote(struct server *replica);

/* Link up, and the replica has applied all that the master has written, which must be idle but for pings. False when
 * one of them does not answer. */
bool in_step(struct server *replica, struct server *master);
void wait_in_step(struct server *replica, struct server *master);
bool link_is_up(struct server *replica); /* false too when the replica does not answer with INFO (loading, gone) */
/* The master calls it online: it has heard what the replica has applied, which comes behind the link that is up. */
void wait_online(int replica_port, struct server *master);
/* In step and DEBUG DIGEST equal. */
void expect_same_data(struct server *replica, struct server *master);

struct sync_counts {
    long long full, partial, refused;
};
struct sync_counts sync_counts(struct server *master);
void expect_syncs_at(const char *file, int line, struct server *master, struct sync_counts since, long long full,
                     long long partial);
/* So many full and partial resyncs were granted since then, and no more. */
#define expect_syncs(master, since, full, partial) expect_syncs_at(__FILE__, __LINE__, master, since, full, partial)

#endif
