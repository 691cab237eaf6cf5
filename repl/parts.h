/* How replication is put together inside repl/: the shared state, and what its two sides ask of each other.
 *
 * replication.c makes and frees this and forwards the public calls; the master's side (master_side.h) owns everything
 * about serving replicas (backlog, link, snapshots for full sync, WAIT, fail-over); the replica's side (replica_side.h)
 * owns everything about following a master. Exactly one history exists; whoever changes it goes through the functions
 * below, so that backlog and ids never disagree. */
#ifndef SLIPSTREAM_REPL_PARTS_H
#define SLIPSTREAM_REPL_PARTS_H

#include "repl/link_handle.h"
#include "repl/replication.h"
#include "server/base/info_field.h"

struct master_side;
struct replica_side;

struct replication {
    struct loop *loop;
    struct keyspace *keyspace;
    struct repl_settings *settings;
    struct rdb_settings *rdb_settings;
    const char *executable;
    int listening_port;
    bool started; /* replication_start() was called */
    struct replication_host host;
    struct replication_stats stats;
    struct history history;
    struct master_side *master;
    struct replica_side *replica;
};

/* --- offered by the master's side --- */
struct master_side *master_side_new(struct replication *r);
void master_side_free(struct replication *r);
void master_side_cron(struct replication *r, int64_t now_ms);
void master_side_before_sleep(struct replication *r);
/* Makes sure a backlog exists whose next byte is history.offset + 1. 0, or -1 with errno. */
int master_side_open_backlog(struct replication *r);
/* The history was replaced (full sync): drops our replicas and empties the window. */
void master_side_history_replaced(struct replication *r);
/* Same stream, other id (+CONTINUE with a new id, promotion): replicas reconnect to learn it; the window stays. */
void master_side_history_renamed(struct replication *r, const char *why);
/* Bytes of our master, whole commands, appended as they came: advances history.offset by len. */
void master_side_relay(struct replication *r, const uint8_t *data, size_t len);
/* We stopped being a replica: the time without replicas counts from now. */
void master_side_promoted(struct replication *r);
/* Fail-over: the handshake with the target has ended. */
void master_side_failover_ended(struct replication *r, bool good);
bool master_side_failover_under_way(const struct replication *r); /* we connect to our target with PSYNC ... FAILOVER */
void master_side_info(const struct replication *r, struct outq *out); /* from connected_slaves: on */

/* --- offered by the replica's side --- */
struct replica_side *replica_side_new(struct replication *r);
void replica_side_free(struct replication *r);
void replica_side_before_sleep(struct replication *r);       /* goes on with a stream that a pause has held back */
bool replica_side_is_at_offset(const struct replication *r); /* the dataset is our history's, up to its offset */
int replica_side_stream_db(const struct replication *r);     /* selected there; -1: none yet */
void replica_side_info(const struct replication *r,
                       struct outq *out); /* INFO replication's lines of a replica, after role: */

#endif
