/* What a world is made of, and what happens to it: all of it from one seed. A schedule that has been shrunk is the same
 * plan with fewer faults. */
#ifndef SLIPSTREAM_SIMULATION_PLAN_H
#define SLIPSTREAM_SIMULATION_PLAN_H

#include "tests/simulation/world.h"

#define THE_MASTER (-2) /* a fault's node: whoever is the master when it begins */
#define DISKS_FROM 32   /* FAULT_KILL_ALL: bits from here on say whose disk is another one, if it dies */

enum disk { DISK_NONE, DISK_SNAPSHOTS /* dump.rdb, now and then */, DISK_LOG /* an append-only file: all of it */ };

enum fault_kind {
    FAULT_KILL,        /* the process of `node`; it is started again after lasts_ms */
    FAULT_POWER,       /* the same of its host: nobody is told */
    FAULT_WIPE,        /* FAULT_KILL, and its disk is another one */
    FAULT_KILL_MIDWAY, /* a Sentinel dies in the middle of what it is about to do, `extra` actions from now */
    FAULT_PAUSE,       /* the process stands still */
    FAULT_CUT,         /* between `node` and `other`, both ways */
    FAULT_CUT_ONE_WAY, /* from `node` to `other` */
    FAULT_ISOLATE,     /* `node` from everybody */
    FAULT_SPLIT,       /* the nodes whose bits are set in `extra` from the others */
    FAULT_SLOW,        /* the network: delays up to `extra` ms, and loss */
    FAULT_HALF_OPEN,   /* `node` loses its end of a connection, and the other end is not told */
    FAULT_CLOCK,       /* the clock of `node`, which is a monotonic one, is put forward by `extra` ms */
    FAULT_LINK,        /* the link process of the server `node` dies */
    FAULT_CHILD,       /* the snapshot child of the server `node` dies, if there is one */
    FAULT_HAND_OVER,   /* SENTINEL FAILOVER is said to `node` */
    FAULT_BURST,       /* clients write so much more in so long that the backlog does not hold it */
    FAULT_UNHEARD,     /* nobody hears `node` */
    FAULT_UNHEARING,   /* `node` hears nobody */
    FAULT_SWAP,        /* the servers `node` and `other` die, and come back with each other's address */
    FAULT_MOVE,        /* FAULT_KILL, and it comes back with an address of its own; the old one is nobody's */
    FAULT_KILL_ALL,    /* those whose bits are set in `extra`, at once; each is started again in its own time */
    FAULT_KINDS
};

struct fault {
    int number; /* in the whole schedule of its seed, from 1 on */
    int64_t at_ms, lasts_ms;
    enum fault_kind kind;
    int node, other;
    uint64_t extra;
};

/* What the model does wrong, on purpose: that the checks notice it is a test of theirs. */
enum mistake {
    MISTAKE_NONE,
    MISTAKE_EARLY_ACK,        /* a replica acknowledges what it has not got yet */
    MISTAKE_ANY_HISTORY,      /* PSYNC is answered without a look at the id */
    MISTAKE_DOUBLE_VOTE,      /* a Sentinel does not remember whom it has voted for */
    MISTAKE_DEAF,             /* a server says yes to SLAVEOF and does nothing */
    MISTAKE_LOOP,             /* a replica lets go of its master behind each snapshot */
    MISTAKE_NO_GOOD_REPLICAS, /* min-replicas-to-write is not looked at */
    MISTAKE_NO_COMEBACK,      /* a master that came back with less holds nobody back */
    MISTAKES
};

struct plan {
    uint64_t seed;
    int servers, sentinels, clients;
    int neighbours; /* servers of another master, which the same Sentinels watch; behind the clients, its first */
    int follows[NODES_MAX]; /* of each server at first: a chain is possible; NOBODY: the master */
    enum disk disk;
    bool config_is_kept; /* CONFIG REWRITE: a restarted server knows whom it followed */
    bool saved_at_end;   /* a kill is an orderly end with a snapshot, where there is a disk */
    int quorum;
    int64_t down_after_ms, failover_timeout_ms;
    int parallel_syncs;
    uint64_t backlog_bytes, hard_limit_bytes;
    int64_t save_every_ms, load_ms, snapshot_ms;
    int repl_timeout_s, ping_period_s;
    int min_replicas, max_lag_s;
    int ahead_wait_s; /* ahead-replica-wait */
    int64_t delay_ms, jitter_ms;
    unsigned loss_percent;
    int64_t write_every_ms;
    int wait_for;          /* replicas */
    int64_t faults_end_ms; /* no new ones; what began ends by then, too */
    enum mistake mistake;
    int fault_count;
    struct fault faults[FAULTS_MAX];
};

void plan_make(struct plan *p, uint64_t seed, enum mistake mistake);
void plan_print(const struct plan *p);
/* Neighbours without a fault of their own are left out: what is kept of a schedule needs none. */
void plan_leave_out_neighbours(struct plan *p);
/* Of the schedule only what `words` says, as "2:1351,6" does: faults 2 and 6, the first of them for 1351 ms. false: it
 * says nothing of the kind. */
bool plan_keep(struct plan *p, const char *words);
void plan_print_kept(const struct plan *p); /* such words */
/* In at least so long after the last fault has ended, all is well again. */
int64_t plan_heals_within_ms(const struct plan *p);
const char *mistake_name(enum mistake mistake);

/* --- faults.c --- */
void faults_schedule(struct world *w);

#endif
