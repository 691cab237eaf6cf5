/* Replication as the server process sees it: our role, our history, our replicas, our master. The face of repl/ for
 * core/ and commands/. How it is put together inside: parts.h. */
#ifndef SLIPSTREAM_REPL_REPLICATION_H
#define SLIPSTREAM_REPL_REPLICATION_H

#include "repl/follower_machine.h"
#include "repl/history.h"
#include "repl/settings.h"
#include "repl/stream_words.h"
#include "rdb/reader.h"
#include "server/base/outq.h"
#include "server/net/conn.h"
#include "server/net/loop.h"

struct received_file;
struct replication;

/* What has become of a piece of our master's stream. */
struct apply_result {
    size_t applied; /* bytes: whole requests, and of a transaction all or nothing */
    enum {
        APPLY_GOES_ON,      /* called again with the rest and what comes behind */
        APPLY_ENDED,        /* what stands behind these bytes cannot be applied: `why`. The data are as of them */
        APPLY_ENDED_INSIDE, /* ... but for a transaction that stands there and has run in part */
    } end;
    const char *why; /* printable; valid until the next call */
};

/* What replication asks of the server, filled in by core/replication_host.c. */
struct replication_host {
    void *context;
    /* --- the master's side --- */
    /* Forks a child that runs body(arg) and calls ended when reaped. Its pid, or -1 with errno (EBUSY: another child
     * runs). */
    pid_t (*fork_snapshot)(void *context, int (*body)(void *arg), void (*ended)(void *arg, bool good, int signal),
                           void *arg);
    void (*kill_snapshot)(void *context);
    void (*report_snapshot_keys)(void *context, uint64_t keys); /* in the child */
    struct rdb_aux (*snapshot_aux)(void *context);
    void (*forget_stream_db)(void *context); /* the next propagated command carries its SELECT */
    void (*propagate)(void *context, uint32_t argc,
                      const struct bytes *argv);        /* PING, REPLCONF GETACK: through the funnel */
    void (*follower_gone)(void *context, void *client); /* a client that had become a replica is gone: free it */
    bool (*acks_moved)(void *context);                  /* WAIT may be satisfied; true: some wait on */
    bool (*writes_paused)(void *context);               /* then the stream must not move: no PING, no GETACK */
    void (*pause_writes)(void *context, bool paused);   /* while a fail-over waits for its target */
    bool (*has_sentinels)(void *context);               /* they are connected, and listen */
    /* --- the replica's side --- */
    /* A connection to our master, just made, gets TLS where the settings ask for it; announced_port: of our doors, the
     * one that our master names to others. */
    void (*secure)(void *context, struct conn *conn);
    int (*announced_port)(void *context);
    /* Runs the complete requests in data as the master's. */
    struct apply_result (*apply)(void *context, const uint8_t *data, size_t len);
    void (*apply_reset)(void *context,
                        int db);     /* a new stream: forget a half-read transaction, select db (-1: none yet, 0) */
    int (*stream_db)(void *context); /* database the stream has selected, for a cached master's return */
    bool (*dataset_in_use)(void *context); /* somebody in the middle of a command: it must not be replaced now */
    /* beside: the old data stays and goes on answering until the new is complete. */
    void (*loading_begin)(void *context, uint64_t total_bytes, bool beside);
    void (*loading_progress)(void *context, uint64_t loaded_bytes);
    void (*loaded_keys)(void *context, uint64_t loaded, uint64_t expired); /* by a good load, before its end */
    void (*loading_end)(void *context, bool good);
    void (*dataset_replaced)(void *context); /* WATCH, blocked keys: what is there is about to go, or has just come */
    bool (*keeps_snapshots)(void *context);  /* what our master sends is to stay on our disk as the dataset's file */
    /* The file of the dataset that has just come, the host's from now on. */
    void (*keep_snapshot)(void *context, struct received_file *file);
    /* After the switch, also to another master: blocked clients, keyspace mode, config rewrite. */
    void (*role_changed)(void *context, bool replica);
    void (*synchronised)(void *context, bool partial); /* the master's dataset is ours, or its history goes on */
    uint64_t (*memory_used)(void *context);
    /* How much of our history is on our disk (an append-only file), for our master; UINT64_MAX: there is no such file.
     * Less than `wanted`: replication_durable_moved() is called when it has come so far. 0: nothing is wanted. */
    uint64_t (*durable_offset)(void *context, uint64_t wanted);
    /* A full resync is through where our stream has come to this offset: so much is to be on that disk, once,
     * whatever is to become of what follows. */
    void (*keep_on_disk)(void *context, uint64_t reach);
};

struct replication_stats {
    /* fields of core/command/stats.h */
    uint64_t *sync_full, *sync_partial_ok, *sync_partial_err;
    uint64_t *net_input_bytes, *net_output_bytes; /* from our master, and to replicas */
    uint64_t *replicas_input_bytes;               /* acknowledgements and the like: input as any other client's */
    uint64_t *output_limit_disconnections;
};

struct replication *replication_new(struct loop *loop, struct keyspace *ks, struct repl_settings *settings,
                                    struct rdb_settings *rdb, const char *executable, int listening_port,
                                    const struct replication_host *host, const struct replication_stats *stats);
void replication_free(struct replication *r);                 /* ends the link, closes the backlog */
void replication_cron(struct replication *r, int64_t now_ms); /* every 100 ms; monotonic */
void replication_before_send(struct replication *r);          /* publishes the backlog: once a turn */
const struct history *replication_history(const struct replication *r);
/* Whether a backlog is to exist with or without followers: the append-only file is written from it. 0, or -1 with
 * errno: it cannot be had now, and is wanted all the same. */
int replication_keep_stream(struct replication *r, bool kept);
struct repl_stream *replication_stream(struct replication *r); /* for listeners, and for who reads the backlog */
/* The aux fields of a snapshot taken now: the history that the dataset is of, its offset, and the database selected
 * there. Left as they are where a stream from there on would not lead to what we are: a master without a backlog does
 * not count its writes, and a replica may hold data that its master's history does not explain. */
void replication_describe(const struct replication *r, struct rdb_aux *aux);
pid_t replication_link_pid(const struct replication *r); /* 0: no link process */
/* Bytes of shared memory: a backlog of its configured size, and what is kept beyond it for replicas that lag. */
struct replication_memory {
    uint64_t backlog, replicas;
};
struct replication_memory replication_memory(const struct replication *r);
bool replication_is_replica(const struct replication *r);

/* --- the master's side (repl/master.c) --- */
bool replication_wants_stream(const struct replication *r);      /* a backlog exists and we are a master */
void replication_feed(struct replication *r, struct bytes unit); /* whole commands, from propagation */
/* A client asks to become a replica. It has been told nothing yet; `owed` are replies still unsent to it. */
struct follower_hello {
    int listening_port;     /* REPLCONF listening-port */
    char announced_ip[256]; /* REPLCONF ip-address; "" = as seen */
    bool eof, psync2, lz4, reach, rdb_only;
    bool rdb_channel;    /* a Redis 8: we offer it none, but it tells what RDB it reads */
    bool functions_only; /* REPLCONF rdb-filter-only functions: a snapshot without keys */
    int version;         /* REPLCONF version, 0: not said */
};
struct follower; /* one per replica, lives until follower_gone */
/* Decides, and sends nothing itself: *answer is +CONTINUE..., +FULLRESYNC... (or nothing for SYNC), which the caller
 * passes with the socket to replication_take_follower once its output is flushed and the descriptor is detached. NULL:
 * refused; error is the reply. */
struct follower *replication_accept(struct replication *r, const char *asked_id, int64_t asked_offset,
                                    bool sync_command, const struct follower_hello *hello, const struct address *peer,
                                    void *client, char answer[256], char error[256]);
/* `owed` is the answer. fd -1: the client died before the hand-over. */
void replication_take_follower(struct replication *r, struct follower *f, int fd, struct bytes owed, struct bytes rest);
/* FLUSHALL: nobody is to begin with what was there before. A snapshot that is being written ends. */
void replication_dataset_flushed(struct replication *r);
/* CLIENT KILL: follower_gone follows when the link has let go of it. */
void replication_drop_follower(struct replication *r, struct follower *f, const char *reason);

struct follower_view {
    char ip[ADDRESS_TEXT_MAX];
    int port;
    const struct follower_row *state; /* INFO and ROLE read it */
    uint64_t offset;
    int64_t lag_s;
    bool rdb_only;
    uint64_t sent_bytes, received_bytes, behind_bytes;
    void *client;
};
int replication_followers(const struct replication *r, struct follower_view *out, int room); /* count */
bool follower_view(struct follower *f, struct follower_view *out);                           /* false: it is gone */
/* Such words leave next, or come from our master and are passed on. Who follows and may not know them is let go in
 * front of them, and gets a snapshot when it comes back: nothing differs in silence. */
void replication_says(struct replication *r, enum stream_words words);
/* Statistics may leave in words that 6.2 refuses together with the command: nobody is here who may be one, nor has gone
 * in the last day, nor is anybody awaited who followed before we were the master. */
bool replication_may_say_7_0(const struct replication *r);
int replication_good_followers(const struct replication *r);         /* online and acked within min-replicas-max-lag */
int replication_acked(const struct replication *r, uint64_t offset); /* replicas that acknowledged at least offset */
int replication_durable(const struct replication *r, uint64_t offset); /* ... and that it is on their disks (FACK) */
void replication_ask_acks(struct replication *r, uint64_t offset);     /* GETACK to all, and watch for offset */
/* A child of the caller's writes the whole dataset, as it is at the fork, into a file of its own: who asks for a full
 * sync meanwhile is sent that file, and needs no other fork. Before the fork: NULL where no stream leads on from here;
 * all take NULL, and do nothing. Then, in the child, how much is written; in the server `path`, which the caller keeps
 * until the child has ended (NULL: it was not forked); at last, how that ended. */
struct snapshot;
struct snapshot *replication_lend_begin(struct replication *r);
void replication_lend_advanced(struct snapshot *s, uint64_t total);
void replication_lend_started(struct snapshot *s, const char *path);
void replication_lend_ended(struct snapshot *s, bool good);
void replication_change_id(struct replication *r); /* DEBUG CHANGE-REPL-ID */
/* The dataset has changed, and the stream does not say how: no snapshot of before serves anyone who comes later. */
void replication_changed_unsaid(struct replication *r);

/* FAILOVER */
int replication_failover(struct replication *r, const char *host, int port, bool force, int64_t timeout_ms,
                         char error[256]);
int replication_failover_abort(struct replication *r, char error[256]);
bool replication_is_failing_over(const struct replication *r);
const char *
replication_failover_state(const struct replication *r); /* "no-failover", "waiting-for-sync", "failover-in-progress" */

/* --- the replica's side (repl/replica.c) --- */
/* The dataset is loaded: begins to follow settings.master_host, if there is one. Until then nothing is restored or
 * asked. */
void replication_start(struct replication *r);
void replication_follow(struct replication *r, const char *host, int port); /* starts over with another master */
void replication_stop_following(struct replication *r);                     /* REPLICAOF NO ONE: promoted */
/* CLIENT KILL: closes the link, which comes back by itself. How many there were: 0 or 1. */
int replication_drop_master_link(struct replication *r);
bool replication_master_link_up(const struct replication *r);
struct master_link_view {
    struct address master, own;
    int fd;
    int64_t idle_s;                       /* since our master was last heard */
    size_t unapplied_bytes, unsent_bytes; /* of its stream, and of what we have to say */
};
bool replication_master_link_view(const struct replication *r, struct master_link_view *out); /* false: link is down */
const char *
replication_role_state(const struct replication *r);       /* ROLE: "connect", "connecting", "sync", "connected" */
bool replication_is_applying(const struct replication *r); /* a piece of our master's stream, not yet counted */
uint64_t replication_applied_offset(const struct replication *r);
/* replica-unknown-command is another one: a stream that was refused is tried again at once. */
void replication_policy_changed(struct replication *r);
const char *replication_stream_refusal(const struct replication *r); /* why its stream is not followed; NULL: it is */
void replication_send_ack(struct replication *r);                    /* REPLCONF GETACK arrived in the stream */
void replication_durable_moved(struct replication *r); /* what durable_offset() was asked to wait for has come */
/* At start: the dataset comes from an RDB with these aux fields, so a partial resync is possible. Told before the first
 * key, so that what a master changes as it loads (a key that has expired meanwhile) is in the stream behind it. */
void replication_restore_history(struct replication *r, const struct rdb_aux *aux);
/* What a dead predecessor of ours left in shared memory (adopt-backlog). Once the dataset is loaded it is asked for,
 * and settled: with _begin(), and where that says true, with _end() when the caller has applied the bytes. Before
 * replication_start(); who restores or opens another history gives it up. */
struct inheritance {
    uint64_t from, end; /* to be applied: offsets [from, end) as PSYNC counts */
    int db;             /* selected before the first of them */
    int pid;            /* of who left it */
};
bool replication_has_predecessor(const struct replication *r);
/* file: what is said of the dataset that was loaded; NULL: none was, and it is empty. False: it does not lead on from
 * there; that is logged, and it is gone. */
bool replication_inherit_begin(struct replication *r, const struct rdb_aux *file, struct inheritance *out);
struct bytes replication_inherited_bytes(const struct replication *r, uint64_t offset); /* some, from there on */
/* Its history is ours, with all that it had kept. db: selected behind the last byte. 0, or -1: logged. */
int replication_inherit_end(struct replication *r, int db);
/* False: our old data was given up for our master's, which is not here yet: what is in memory is nobody's dataset. */
bool replication_has_dataset(const struct replication *r);

bool replication_master_address(const struct replication *r, const char **host, int *port); /* false: we are a master */

/* INFO replication's lines. */
void replication_info(const struct replication *r, struct outq *out);

#endif
