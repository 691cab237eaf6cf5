/* The master's side from within: its state, and what its files ask of each other. For master*.c and failover.c alone.
 *
 *   master.c          backlog, feeding it, acknowledgements, cron
 *   master_replicas.c a replica's handle from its PSYNC to its end
 *   master_snapshot.c snapshots for full sync: one child, many replicas
 *   failover.c        FAILOVER
 *   master_info.c     what INFO and others see of it */
#ifndef SLIPSTREAM_REPL_MASTER_SIDE_H
#define SLIPSTREAM_REPL_MASTER_SIDE_H

#include "repl/parts.h"
#include "repl/refusals.h"
#include "server/base/list.h"

enum handle_state {
    HANDLE_COMING,  /* accepted; its descriptor is still flushing our earlier replies */
    HANDLE_WAITING, /* we hold its descriptor until a snapshot starts that it can have */
    HANDLE_LINKED,  /* the link process has it */
    HANDLE_ENDING   /* to be freed before the loop sleeps */
};

struct snapshot;

struct replica_handle {
    struct list_node node;
    struct replication *r;
    void *client; /* the server's */
    enum handle_state state;
    struct replica_hello hello;
    char ip[ADDRESS_TEXT_MAX];       /* announced, else as seen */
    char name[ADDRESS_TEXT_MAX + 8]; /* "ip:port" for the log */
    bool full;
    uint64_t request;          /* number of its request for a snapshot */
    uint64_t from;             /* first stream offset it gets */
    struct snapshot *snapshot; /* full: what it is being sent; NULL: none yet, or through with it */
    int slot;                  /* in the backlog; -1: none yet */
    int fd;                    /* HANDLE_WAITING; else -1 */
    bool psync;                /* SYNC gets no +FULLRESYNC */
    bool told_to_wait;         /* logged why it waits */
    int64_t not_before_ms;     /* it went away from its last snapshot: the next one waits so long */
    bool online, doomed;
    bool took_over; /* the snapshot is its dataset now */
    int64_t since_ms, online_ms, soft_limit_since_ms, newline_ms;
    uint64_t counted_sent, counted_received; /* already in the statistics */
    char reason[128];                        /* why we drop it; "" while we do not */
};

enum snapshot_state { SNAPSHOT_RUNNING, SNAPSHOT_COMPLETE, SNAPSHOT_FAILED };

/* One snapshot at offset `offset`, on its way to any number of replicas. */
struct snapshot {
    struct list_node node;
    struct replication *r;
    enum snapshot_state state;
    int spool;    /* the backlog's; -1: the backlog is gone */
    int fd;       /* the spool file; pipe: the end the link reads, -1 once it has it */
    int write_fd; /* pipe: the child's end; file: the same as fd */
    bool pipe, functions_only;
    bool given; /* the link has the descriptor */
    bool stale; /* of a history that is no longer ours: serves nobody */
    bool killed;
    bool compress;           /* rdbcompression, unless the wire packs it anyway */
    uint64_t offset;         /* the dataset as of this byte; the stream goes on with offset + 1 */
    uint64_t requests;       /* that had come before it was started: it is as fresh as those asked for */
    int users;               /* handles that point here */
    int64_t unused_since_ms; /* while users is 0 */
    struct rdb_aux aux;
};

enum failover_state { FAILOVER_NONE, FAILOVER_WAITING, FAILOVER_HANDED_OVER };

struct failover {
    enum failover_state state;
    char host[256]; /* "" : the first replica that is in sync */
    int port;
    bool force;
    int64_t deadline_ms; /* 0: none */
};

struct master_side {
    struct backlog *backlog; /* NULL: none */
    struct link_handle *link;
    struct loop_watch *bell;
    struct list replicas;  /* struct replica_handle */
    struct list snapshots; /* struct snapshot */
    uint64_t requests;     /* for snapshots, so far */
    struct refusals refusals;
    struct failover failover;
    struct backlog_limits limits; /* as last told to the backlog */
    int timeout_s, ping_period_s; /* as last told to the link */
    int64_t alone_since_ms;       /* the last replica went, or we became a master or got a backlog */
    int64_t last_ping_ms, last_second_ms;
    bool ask_acks;                  /* GETACK goes out before the loop sleeps */
    uint64_t watch_low, watch_high; /* offsets somebody waits for; 0: nobody */
};

/* --- master.c --- */
struct resync_window master_window(const struct replication *r);
int64_t master_now_ms(const struct replication *r); /* monotonic, as every time here */

/* A link runs or may be started, and the stream, if there is one, can be shared with it. */
bool master_can_serve(const struct replication *r);

/* --- master_replicas.c --- */
extern const struct link_events master_link_events;
void replica_handle_end(struct replica_handle *h, const char *reason); /* now or when the link has let go */
void replica_handle_give(struct replica_handle *h, int fd, struct bytes preamble,
                         struct bytes rest); /* fd is closed here */
void replicas_cron(struct replication *r, int64_t now_ms);
void replicas_reap(struct replication *r); /* frees those that are ending */
void replicas_end_all(struct replication *r, const char *reason);
void replicas_abandon(struct replication *r); /* at the very end: the link and the backlog are gone */
void replica_peer_doomed(void *context, int slot, uint64_t lag_bytes, uint64_t limit_bytes);
/* Online, with its acknowledged offset and how long ago that was; false: not online. */
bool replica_handle_acked(const struct replica_handle *h, uint64_t *offset, int64_t *lag_ms);

/* --- master_snapshot.c --- */
/* Finds or starts a snapshot that h can have now, and pins the stream behind it. 0, or -1 with errno; EAGAIN: h has to
 * wait (another child runs, or more replicas are waited for). */
int snapshot_attach(struct replica_handle *h);
void snapshot_detach(struct replica_handle *h);
/* The RDB version that it is written in; 0: not known (a pipe, or nothing is written yet). */
int snapshot_version(const struct snapshot *s);
void snapshot_answer(const struct replica_handle *h, char answer[256]); /* +FULLRESYNC for one that is attached */
int snapshot_prepare_link(struct snapshot *s);              /* before a peer of it is given. 0, or -1 with errno */
void snapshots_cron(struct replication *r, int64_t now_ms); /* serves who waits, stops and frees what nobody needs */
void snapshots_link_died(struct replication *r);
void snapshots_history_changed(struct replication *r); /* none of them may be given to anyone any more */
void snapshots_backlog_gone(struct replication *r);

/* --- failover.c --- */
void failover_check(struct replication *r); /* time has passed, or acknowledgements have moved */

#endif
