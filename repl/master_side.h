/* The master's side from within: its state, and what its files ask of each other. For master*.c and failover.c alone.
 * A follower is a replica of ours; "replica" alone is what we are to a master of our own.
 *
 *   master.c          the side as a whole: cron, the stream's news, making and freeing
 *   failover.c        FAILOVER
 *   master_request.c  a follower's PSYNC or SYNC, up to its answer
 *   master_queue.c    which snapshot a follower gets, and when
 *   master_words.c    who knows the words of the stream, and who follows it no further
 *   master_followers.c a follower up to its end, and what the link tells of it
 *   comeback.c        who is held back from a master that came back with less than it has
 *   master_reads.c    what a follower is known by that does not say who it is
 *   snapshot_form.c   in which RDB version, for whom; refusals.c who did not take over the last one
 *   master_snapshot.c one snapshot: its child, its file or pipe
 *   master_acks.c     acknowledgements, asked for and waited for
 *   master_info.c     what INFO and others see of it
 *
 * Who stands above may call who stands below. */
#ifndef SLIPSTREAM_REPL_MASTER_SIDE_H
#define SLIPSTREAM_REPL_MASTER_SIDE_H

#include "repl/comeback.h"
#include "repl/follower_machine.h"
#include "repl/parts.h"
#include "repl/refusals.h"
#include "server/base/list.h"

struct snapshot;

struct follower {
    struct list_node node;
    struct replication *r;
    struct follower_machine machine;
    void *client; /* the server's */
    struct follower_hello hello;
    char ip[ADDRESS_TEXT_MAX];       /* announced, else as seen */
    char name[ADDRESS_TEXT_MAX + 8]; /* "ip:port" for the log */
    bool psync;                      /* SYNC gets no +FULLRESYNC */
    uint64_t request;                /* number of its request for a snapshot */
    enum rdb_write_for form;         /* that its snapshot is to be in; what it has no room for it cannot hold */
    int reads;                       /* the RDB version that it has taken over, or is being sent; 0: not known */
    int has_read;                    /* the same, but for what it is being sent */
    int rdb_version;                 /* of the snapshot it was sent; 0: not known */
    int64_t not_before_ms;           /* it went away from its last snapshot: the next one waits so long */
    uint64_t from;                   /* first stream offset it gets */
    struct snapshot *snapshot;       /* what it is being sent; NULL: none yet, none at all, or through with it */
    int slot;                        /* in the backlog; -1: none yet */
    int fd;                          /* while it stands in the queue, or is handed over; else -1 */
    struct bytes preamble, rest;     /* while it is handed over: what it is sent first, what it had sent already */
    uint64_t counted_sent, counted_received; /* already in the statistics */
};

enum snapshot_state {
    SNAPSHOT_PREPARED, /* the child is not there yet */
    SNAPSHOT_RUNNING,
    SNAPSHOT_STOPPING, /* of no use any more: the child is killed, and has not ended yet */
    SNAPSHOT_COMPLETE,
    SNAPSHOT_FAILED
};

/* One snapshot at offset `offset`, on its way to any number of replicas. */
struct snapshot {
    struct list_node node;
    struct replication *r;
    enum snapshot_state state; /* master_snapshot.c's enter() is the one to set it */
    int spool;                 /* the backlog's; -1: the backlog is gone */
    int fd;                    /* the spool file; pipe: the end the link reads, -1 once it has it */
    int write_fd;              /* pipe: the child's end; file: the same as fd */
    bool pipe, functions_only;
    bool given;              /* the link has the descriptor */
    char *lent_path;         /* another's child writes it, there, for a purpose of its own; NULL: ours does */
    bool stale;              /* it and the stream behind it do not lead to our dataset: serves nobody who comes now */
    const char *stop_reason; /* why its child was killed */
    bool compress;           /* rdbcompression, unless the wire packs it anyway */
    enum rdb_write_for form; /* who must be able to read it */
    bool same_in_all_forms;
    bool with_field_expiry;  /* it holds hashes whose fields expire */
    uint64_t offset;         /* the dataset as of this byte; the stream goes on with offset + 1 */
    uint64_t requests;       /* that had come before it was started: it is as fresh as those asked for */
    int users;               /* followers that point here */
    int64_t unused_since_ms; /* while users is 0 */
    struct rdb_aux aux;
};

enum failover_state { FAILOVER_NONE, FAILOVER_WAITING, FAILOVER_HANDED_OVER };

struct failover {
    enum failover_state state; /* failover.c's enter() is the one to set it */
    char host[256];            /* "" : the first replica that is in sync */
    int port;
    bool force;
    int64_t deadline_ms; /* 0: none */
};

/* What a snapshot is to be, before it is started. */
struct snapshot_wish {
    bool pipe, functions_only;
    bool compress;     /* somebody gets it unpacked by the wire */
    bool for_follower; /* somebody follows the stream behind it */
    enum rdb_write_for form;
};

/* Offsets of the stream that somebody waits for; 0: nobody. */
struct ack_watch {
    bool ask; /* GETACK goes out before the loop sleeps */
    uint64_t low, high;
};

struct master_side {
    struct repl_stream_listener listener;
    struct link_handle *link;
    struct loop_watch *bell;
    struct list followers; /* struct follower */
    struct list snapshots; /* struct snapshot */
    uint64_t requests;     /* for snapshots, so far */
    struct refusals refusals;
    struct comeback comeback;
    struct follower_machine_settings follower_settings;
    struct failover failover;
    struct ack_watch acks;
    void (*snapshot_failed)(struct snapshot *s, const char *reason); /* whoever is being sent it cannot go on */
    int ping_period_s;                                               /* as last told to the link */
    int64_t alone_since_ms; /* a master with a backlog and without a replica; 0: we are not */
    int64_t last_ping_ms;
    uint64_t said_at[STREAM_WORDS]; /* offset where such words last left, or shortly before it; 0: never */
    int64_t stranger_ms;            /* one that may be a 6.2 has gone, or led us, last; 0: never */
    int64_t expecting_ms;           /* we became the master of a history that others have; 0: nobody has */
};

/* --- failover.c --- */
void failover_check(struct replication *r); /* time has passed, or acknowledgements have moved */
void failover_ended(struct replication *r, bool good);

/* --- master_queue.c --- */
/* Finds or starts a snapshot that f can have now, and pins the stream behind it. 0, or -1 with errno; EAGAIN: f has to
 * wait (another child runs, or more replicas are waited for). */
int queue_attach(struct follower *f);
void queue_cron(struct replication *r, int64_t now_ms); /* serves who waits */

/* --- master_words.c --- */
/* The stream from this offset on says nothing that it may not know, nor has it heard such words since its snapshot. */
bool words_may_continue(const struct follower *f, uint64_t from);
/* The same, with what it has once it has taken over this snapshot. */
bool words_may_take(const struct follower *f, const struct snapshot *s);
/* We have just become the master of a history that others know, and may ask to continue: who they are shows then. */
void words_expect(struct replication *r);
void words_cron(struct replication *r);      /* lets those go for whom fields expire that cannot be told to them */
void words_forgotten(struct replication *r); /* another history */
void words_opened(struct replication *r);    /* the backlog is there, a new one or a dead predecessor's */

/* --- master_followers.c --- */
extern const struct link_events master_link_events;
/* A link runs or may be started, and the stream, if there is one, can be shared with it. */
bool followers_can_be_served(const struct replication *r);
void follower_end(struct follower *f, const char *reason);        /* now or when the link has let go */
void follower_answer(const struct follower *f, char answer[256]); /* +FULLRESYNC; it has a snapshot */
void follower_serve(struct follower *f); /* it stood in the queue and has a snapshot now: it goes to the link */
/* Reads what the link has noted in its slot: before anybody asks for its state. */
void follower_look(struct follower *f);
bool follower_is_online(const struct follower *f);
void followers_cron(struct replication *r);
void followers_reap(struct replication *r); /* frees those that are gone */
void followers_end_users(struct snapshot *s, const char *reason);
void followers_end_all(struct replication *r, const char *reason);
void followers_abandon(struct replication *r); /* at the very end: the link and the backlog are gone */
void follower_peer_doomed(void *context, int slot, uint64_t lag_bytes, uint64_t limit_bytes);

/* --- master_reads.c --- */
bool follower_is_stranger(const struct follower *f); /* it does not say who it is */
bool follower_may_be_6_2(const struct follower *f);
/* It has just come; continues_from: what it asks for next of a history that goes on; -1: it is to get a snapshot. */
void reads_meet(struct follower *f, int64_t continues_from);
void reads_taken(struct follower *f);      /* its snapshot */
void reads_here(const struct follower *f); /* some times a second, while it is online */
void reads_part(struct follower *f);       /* it goes, or its request is refused: it may come back, and continue */

/* --- master_snapshot.c --- */
/* NULL with errno; EBUSY: another child runs; ENOBUFS: every spool is taken. */
struct snapshot *snapshot_start(struct replication *r, const struct snapshot_wish *w);
void snapshot_pin(struct snapshot *s, struct follower *f); /* f gets it: a slot, and the stream behind it */
void snapshot_detach(struct follower *f);
bool snapshot_is_readable(struct snapshot *s);  /* a lent one has its file only while that has its first name */
bool snapshot_covers(const struct snapshot *s); /* the backlog still holds what follows it */
/* f can be given it: it is in f's form, or in a form that is no other. */
bool snapshot_suits(const struct snapshot *s, const struct follower *f);
int snapshot_version_least(const struct snapshot *s);       /* the RDB version, as far as it is known; 0: not at all */
int snapshot_give(struct snapshot *s);                      /* to the link. 0, or -1 with errno */
int snapshot_prepare_link(struct snapshot *s);              /* before a peer of it is given. 0, or -1 with errno */
void snapshots_cron(struct replication *r, int64_t now_ms); /* stops and frees what nobody needs */
void snapshots_link_died(struct replication *r);
void snapshots_outdated(struct replication *r); /* none of them may be given to anyone any more */
void snapshots_backlog_gone(struct replication *r);

/* --- master_acks.c --- */
void acks_before_send(struct replication *r);
void acks_watch_new_backlog(struct replication *r); /* for what was asked while there was none */
/* Acknowledgements have moved, and nobody waits for followers that may yet come: the watch ends where all of those that
 * are here have reached it. */
void acks_settle(struct replication *r);
/* Online, with its acknowledged offset and how long ago that was; false: not online. */
bool follower_acked(const struct follower *f, uint64_t *offset, int64_t *lag_ms);
int64_t follower_lag_ms(const struct follower *f, const struct backlog_peer_view *view);

#endif
