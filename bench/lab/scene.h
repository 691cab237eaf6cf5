/* The scene of one try: a master and its replica with the proxy between them, who writes, who watches.
 *
 *     writer, probe ──▶ master ◀── proxy ◀── replica
 *
 * The scene is set, the fault strikes, the writer writes, the fault is healed, and the scene is watched until both are
 * equal again. Faults (faults/) know the scene alone. */
#ifndef LAB_SCENE_H
#define LAB_SCENE_H

#include "bench/servers/contestant.h"
#include "bench/lab/wire.h"
#include "tests/harness/proxy.h"

#include <pthread.h>

#define HANDSHAKES_MAX    256
#define MORE_REPLICAS_MAX 7

/* What passed through the proxy, connection by connection. */
struct wire_log {
    pthread_mutex_t lock;
    struct handshake *handshakes[HANDSHAKES_MAX]; /* by connection number, from 1 on */
    int64_t answered_us[HANDSHAKES_MAX];          /* monotonic */
    uint64_t connections, before;                 /* all; those of proxies that are gone */
};

/* Sizes as the cell has them. */
struct scene_settings {
    const struct contestant *master, *replica;
    uint64_t backlog_bytes;
    int timeout_s;
    long keys;
    int value_bytes;
    bool sibling;      /* a second replica, beside the proxy */
    bool chain;        /* the second replica stands between master and replica */
    int more_replicas; /* behind the proxy, beside the first */
    uint64_t seed;
    int length_ms; /* of the fault */
};

struct scene {
    struct scene_settings settings;
    struct instance master, replica;
    struct instance sibling; /* another replica, for faults that need one; `of` NULL: there is none */
    struct instance more[MORE_REPLICAS_MAX];
    int more_count;
    struct proxy *proxy;
    struct wire_log wire;
    char followed_host[256]; /* by a replica that runs already, before we came */
    int followed_port;       /* 0: nothing to put back */
    bool sibling_alone;      /* the sibling stands, the replica does not yet */
    pid_t stopped;           /* a process that a fault has stopped, and will let go on */
    bool counts_losses;      /* a fault has written keys of its own, acknowledged by a master that it took away */
    uint64_t doomed, lost;
};

#define DOOMED_KEYS 1000

/* 0, or -1: `error` says why. */
int scene_set(struct scene *s, const struct scene_settings *settings, char error[256]);
void scene_clear(struct scene *s);

int scene_follow(struct instance *replica, int port); /* REPLICAOF on this machine; 0 or -1 */
/* A proxy at another port takes the place of the present one; cut, so far. 0, or -1 with `error`. */
int scene_move_proxy(struct scene *s, char error[256]);
bool scene_promote(struct instance *replica); /* REPLICAOF NO ONE */
/* Its master has been killed: until it has lost the link, or for some seconds. What is still under way has arrived
 * then; whoever promotes sooner cuts that off himself. */
void scene_wait_orphaned(struct instance *replica);
/* The replica is promoted, and the old master is to be the replica from now on: the proxy leads to the new one.
 * 0 or -1. */
int scene_swap_roles(struct scene *s);
/* Writes keys of its own to the master, who will be taken away; how many were acknowledged stands in `doomed`. */
void scene_write_doomed(struct scene *s, struct instance *master);
void scene_count_lost(struct scene *s); /* those of them that the master of now does not have */
/* One of its servers again, in its directory, with the settings of the scene. 0, or -1 with `error`. */
int scene_start_again(struct scene *s, struct instance *i, char error[256]);
/* Link up and offsets equal; or within bound_ms. 0, or -1. */
bool scene_in_step(struct scene *s);
int scene_wait_in_step(struct scene *s, int bound_ms);

/* Whether `wanted` handshakes from connection number `from` on were answered. Of those that were, the first that was
 * granted least (a full resync, if any was) is copied, and when it was answered. */
bool wire_log_answered(struct wire_log *w, uint64_t from, int wanted, struct handshake *out, int64_t *when_us);
uint64_t wire_log_connections(struct wire_log *w);

#endif
