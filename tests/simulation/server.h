/* A node that is a server.
 *
 * Real are: the history and the decision whether to continue it (repl/history.c), the stream with its backlog in shared
 * memory, and the reader that sends from it (repl/stream.c, shm/), the replica's machine, the machine of each follower,
 * the delays of those who do not take over their snapshots (repl/refusals.c), and who is held back from a master that
 * came back with less (repl/comeback.c).
 *
 * A model of what stands around them in the server, line by line as that does it, is here: who calls the machines and
 * carries out what they say (repl/replica*.c, repl/master*.c, repl/link/peer.c, repl/failover.c), the commands that
 * Sentinels and clients send, what a start finds on the disk. Data are data.h's; a snapshot is a copy of them.
 *
 *   server.c           start and end, connections, a turn
 *   server_replica.c   following a master
 *   server_master.c    followers, their requests, their snapshots
 *   server_link.c      the link process: a follower's socket
 *   server_commands.c  PING, INFO, SLAVEOF, PUBLISH, FAILOVER, writes, WAIT
 *
 * Not modelled: databases, expiry, scripts, TLS, the packed wire, swapdb, diskless pipes, adoption of a dead server's
 * backlog (a pod's /dev/shm dies with it). */
#ifndef SLIPSTREAM_SIMULATION_SERVER_H
#define SLIPSTREAM_SIMULATION_SERVER_H

#include "repl/comeback.h"
#include "repl/follower_machine.h"
#include "repl/refusals.h"
#include "repl/replica_machine.h"
#include "repl/stream.h"
#include "shm/reader.h"
#include "tests/simulation/data.h"
#include "tests/simulation/node.h"

#define FOLLOWERS_MAX 64
#define SNAPSHOTS_MAX 8
#define WAITS_MAX     64
#define HELD_MAX      64
#define SERVER_PORT   6379

/* What is on the disk, and in the configuration file. Outlives the process. */
struct server_disk {
    bool configured; /* by CONFIG REWRITE: `master` is to be followed */
    int master;      /* NOBODY: none */
    struct data data;
    char id[HISTORY_ID_TEXT]; /* "": the file names no history */
    uint64_t offset;
};

enum snapshot_state { SNAPSHOT_FREE, SNAPSHOT_RUNNING, SNAPSHOT_COMPLETE, SNAPSHOT_FAILED };

struct snapshot {
    enum snapshot_state state;
    uint64_t number; /* of all that this process made */
    uint64_t offset;
    struct data data;
    int users;
    bool stale;
    int64_t unused_since_ms;
};

enum link_phase { PHASE_NONE, PHASE_WAITING, PHASE_SNAPSHOT, PHASE_LOADING, PHASE_STREAM };

struct follower {
    bool used;
    conn_id conn;
    int node;
    char name[32];
    struct follower_machine machine;
    int64_t not_before_ms;
    struct snapshot *snapshot; /* NULL: none */
    int slot;                  /* -1: none */
    uint64_t from;
    /* the link's */
    enum link_phase phase;
    uint64_t offset;
    size_t snapshot_sent;
    bool sending; /* a piece of the snapshot is to come */
};

struct wait {
    conn_id conn; /* 0: free */
    uint64_t offset, write;
    int replicas;
    int64_t deadline_ms;
};

/* A client's command that stands still while writes are paused. */
struct held {
    conn_id conn; /* 0: free */
    int what;
    uint64_t number[4];
};

enum hand_over { HAND_OVER_NONE, HAND_OVER_WAITING, HAND_OVER_DONE };

struct server {
    struct world *w;
    int id;
    struct server_disk disk;
    bool up; /* the rest is there */
    int64_t started_ms;
    char run_id[HISTORY_ID_TEXT];
    bool loading; /* the disk's data, or a master's */
    struct repl_settings settings;
    struct repl_stream *stream;
    struct repl_stream_listener listener;
    struct data data;
    int64_t heard_others_ms; /* for checks.c: it could hear another server, as far as the network goes */
    unsigned data_turn;      /* other data: grows each time they do not go on from what was there */

    /* as a replica */
    struct replica_machine machine;
    struct replica_machine_settings machine_settings;
    int master;  /* NOBODY: none */
    int dialled; /* who had its address when it was called last */
    unsigned lives;
    int64_t timer_ms; /* the next one; 0: none */
    conn_id conn;
    bool can_continue, streaming, replacing, without_dataset, direct, held_back;
    bool reading_stopped; /* the connection is not looked at while it loads from a file ... */
    bool closed_unseen;   /* ... and so not seen to be closed */
    int64_t last_io_ms, down_since_ms;
    char full_id[HISTORY_ID_TEXT];
    uint64_t full_offset;
    struct data received; /* of a snapshot */
    bool receiving;
    struct data input; /* stream not yet applied, maybe half a record: bytes alone count */
    size_t verified;   /* of our data: compared with our master's, on this connection */
    unsigned verified_turn;
    unsigned load_turn;

    /* as a master */
    struct reader *reader; /* the link process; NULL: none */
    struct follower followers[FOLLOWERS_MAX];
    struct follower_machine_settings follower_settings;
    struct refusals refusals;
    struct comeback comeback;
    struct snapshot snapshots[SNAPSHOTS_MAX];
    uint64_t snapshot_numbers;
    bool ask_acks;
    int64_t last_ping_ms;
    struct wait waits[WAITS_MAX];
    struct held held[HELD_MAX];
    enum hand_over hand_over;
    int hand_over_to;
    int64_t hand_over_deadline_ms;

    conn_id subscribers[NODES_MAX * 2];
    conn_id clients[NODES_MAX * 8]; /* who has asked for something: CLIENT KILL finds them */
};

struct server *server_of(const struct world *w, int node);

/* --- what is sent between servers, and who is asked what: packets --- */
enum {
    SAYS_GREETING = 1, /* PING and REPLCONF: number[0] the port */
    SAYS_LINES,        /* the answers, as text */
    SAYS_PSYNC,        /* bytes: the id; number[0] offset, [1] failover */
    SAYS_SNAPSHOT,     /* a piece; number[0]: whether it is the last, [1]: of so many bytes in all */
    SAYS_STREAM,
    SAYS_ACK,     /* number[0]: offset */
    SAYS_ALIVE,   /* a line end, either way */
    SAYS_REQUEST, /* a Sentinel's: number[0] the request, [1] to [3] its own; bytes: struct request_text */
    SAYS_REPLY,   /* number[0] the request, [1] error, [2] down, [3] epoch; bytes: text, or leader */
    SAYS_SUBSCRIBE,
    SAYS_MESSAGE,
    SAYS_WRITE,   /* a client's: number[0] id, [1] padding */
    SAYS_WRITTEN, /* number[0]: id, [1]: 0 or why not */
    SAYS_WAIT,    /* number[0] id, [1] replicas, [2] time-out */
    SAYS_WAITED,  /* number[0] id, [1] how many, [2] their nodes' bits, [3] when */
    SAYS_WHERE,   /* is the master? */
    SAYS_THERE    /* number[0]: a node, or NODES_MAX */
};

void server_send(struct server *s, conn_id conn, int what, const uint64_t number[4], const void *bytes, size_t len);
void server_send_text(struct server *s, conn_id conn, int what, const char *text);

/* --- server.c --- */
void server_turn_ends(struct server *s); /* before it sleeps: what the loop does then */
int64_t server_now_ms(const struct server *s);
bool server_is_replica(const struct server *s);
bool server_writes_are_paused(const struct server *s);
void server_save(struct server *s);
void server_data_replaced(struct server *s);

/* --- server_replica.c --- */
void replica_start(struct server *s);
void replica_follow(struct server *s, int master, bool failover);
void replica_stop_following(struct server *s);
void replica_opened(struct server *s, conn_id conn);
void replica_received(struct server *s, conn_id conn, const struct packet *packet);
void replica_closed(struct server *s, conn_id conn);
void replica_before_send(struct server *s);
bool replica_link_is_up(const struct server *s);

/* --- server_master.c --- */
void master_start(struct server *s);
void master_loaded(struct server *s); /* the dataset is there, and we are a master */
void master_request(struct server *s, conn_id conn, const struct packet *packet); /* PSYNC */
void master_cron(struct server *s);
void master_before_send(struct server *s);
void master_write(struct server *s, const char *record, size_t len);
void master_ask_acks(struct server *s);
int master_acked(struct server *s, uint64_t offset, uint64_t *nodes);
int master_good_followers(struct server *s);
int master_online_followers(struct server *s);
uint64_t master_ahead_bytes(struct server *s);
bool follower_is_shown(struct server *s, struct follower *f, uint64_t *offset);
bool follower_is_online(const struct follower *f);
void follower_step(struct server *s, struct follower *f, const struct follower_event *event);
struct follower *follower_find(struct server *s, conn_id conn);
void master_snapshot_fails(struct server *s);
bool follower_acked(struct server *s, const struct follower *f, uint64_t *offset, int64_t *lag_ms);

/* --- server_link.c --- */
int link_give(struct server *s, struct follower *f); /* 0 or -1 */
void link_pump_all(struct server *s);
void link_received(struct server *s, struct follower *f, const struct packet *packet);
void link_lost(struct server *s, struct follower *f, const char *why);
void link_tick(struct server *s, struct follower *f);
void link_detach(struct server *s);
void link_died(struct server *s);

/* --- server_commands.c --- */
void commands_received(struct server *s, conn_id conn, const struct packet *packet);
void commands_acks_moved(struct server *s);
void commands_cron(struct server *s);
void commands_role_changed(struct server *s);
void commands_unpaused(struct server *s);
bool commands_has_sentinels(const struct server *s);
void hand_over_check(struct server *s);
void hand_over_ended(struct server *s, bool good);

#endif
