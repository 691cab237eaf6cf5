/* How replication is put together inside repl/: the shared state, and what its two sides ask of each other.
 *
 * Calls go one way:
 *
 *     stream  <-  the replica's side (replica_side.h)  <-  the master's side (master_side.h)  <-  replication.c
 *
 * stream.c owns the history and the backlog, and tells both sides by listeners what becomes of them. The replica's side
 * owns everything about following a master; the master's side owns everything about serving replicas (link, snapshots
 * for full sync, acknowledgements, fail-over). replication.c makes all of them and forwards the public calls. */
#ifndef SLIPSTREAM_REPL_PARTS_H
#define SLIPSTREAM_REPL_PARTS_H

#include "repl/link_handle.h"
#include "repl/replication.h"
#include "repl/stream.h"
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
    bool started;     /* replication_start() was called */
    bool restored;    /* as a master, from a file that names its history; what followed the file is not here */
    bool stream_kept; /* replication_keep_stream() */
    struct replication_host host;
    struct replication_stats stats;
    struct repl_stream *stream;
    struct master_side *master;
    struct replica_side *replica;
};

/* Monotonic, as every time in repl/. */
static inline int64_t replication_now_ms(const struct replication *r)
{
    return loop_monotonic_ms(r->loop);
}

/* --- offered by the replica's side --- */
/* failover_ended: the handshake with a master that we were to tell to take over has ended. */
struct replica_side *replica_side_new(struct replication *r, void (*failover_ended)(struct replication *r, bool good));
void replica_side_free(struct replication *r);
void replica_side_follow(struct replication *r, const char *host, int port, bool failover); /* it is to take over */
void replica_side_before_send(struct replication *r);          /* goes on with what had to wait */
bool replica_side_is_at_offset(const struct replication *r);   /* the dataset is our history's, up to its offset */
int replica_side_stream_db(const struct replication *r);       /* selected there; -1: none yet */
bool replica_side_follows_others(const struct replication *r); /* a master that packs nothing, and may be of any make */
void replica_side_start(struct replication *r);                /* replication_start() */
void replica_side_info(const struct replication *r, struct outq *out); /* INFO's lines of a replica, after role: */

/* --- offered by the master's side --- */
struct master_side *master_side_new(struct replication *r);
void master_side_free(struct replication *r);    /* the stream is gone already */
void master_side_started(struct replication *r); /* the dataset is there, and we are a master */
void master_side_cron(struct replication *r, int64_t now_ms);
void master_side_before_send(struct replication *r);
void master_side_info(const struct replication *r, struct outq *out); /* from connected_slaves: on */

#endif
