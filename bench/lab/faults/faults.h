/* A fault: a small named piece, a file each in this folder. It knows the scene and nothing of the lab around it. */
#ifndef LAB_FAULTS_H
#define LAB_FAULTS_H

#include "bench/lab/scene.h"

#define FAULT_NOT_HERE 1 /* these servers cannot have it: the cell is passed over, and `why` says so */

/* Each step returns 0, FAULT_NOT_HERE, or -1 with `why`. */
struct fault {
    const char *name; /* one word, as in a grid */
    const char *summary;
    bool breaks;        /* the connection does not outlive it, however short it is */
    bool heals_itself;  /* the servers come back while it lasts */
    bool by_wire;       /* the proxy alone makes it: it can be had with servers that run already */
    bool wants_sibling; /* a second replica */
    bool wants_chain;   /* the same, between the master and the replica */
    int more_replicas;  /* beside the first, behind the proxy */
    bool writes_itself; /* nobody else writes */
    bool stops_master;  /* it answers nothing meanwhile */
    bool asks_within;   /* the replica asks while it strikes, and is answered by what lasts */
    int (*strike)(struct scene *s, char why[256]);
    int (*prepare)(struct scene *s, char why[256]); /* before the decision is predicted; NULL: nothing to do */
    int (*heal)(struct scene *s, char why[256]);    /* NULL: the line is whole again, and that is all */
};

extern const struct fault fault_cut, fault_reset, fault_stall, fault_half_open, fault_deaf, fault_slow, fault_delay,
    fault_cut_stream, fault_replica_frozen, fault_replica_killed, fault_replica_restarted, fault_master_restarted,
    fault_link_killed, fault_sibling_promoted, fault_old_master_returns, fault_split_brain, fault_chain_middle_gone,
    fault_big_value, fault_backlog_met, fault_backlog_missed, fault_cut_snapshot, fault_replica_emptied,
    fault_master_killed, fault_master_frozen, fault_eight_replicas, fault_address_changes, fault_snapshot_killed,
    fault_link_frozen, fault_snapshot_frozen;

extern const struct fault *const faults[]; /* ends with NULL */
const struct fault *fault_by_name(const char *name);

#endif
