/* What a Sentinel reads from an instance's INFO. Any process; pure. Fields that are not there (an older server's) keep
 * the values of report_init(). */
#ifndef SLIPSTREAM_SENTINEL_REPORT_H
#define SLIPSTREAM_SENTINEL_REPORT_H

#include "server/sentinel/hello.h"

enum reported_role { ROLE_UNKNOWN, ROLE_MASTER, ROLE_REPLICA };

struct report {
    char run_id[SENTINEL_RUN_ID + 1]; /* "": it says none */
    enum reported_role role;
    bool loading;
    uint64_t keys;    /* over all databases */
    int64_t uptime_s; /* -1: it says none */
    /* replication ids; "": it says none. What its offset counts, and what that has gone on from */
    char history[SENTINEL_RUN_ID + 1], second_history[SENTINEL_RUN_ID + 1];
    /* a master's */
    uint64_t connected_replicas;
    bool lists_replicas; /* report_next_replica() may find some */
    uint64_t master_offset;
    uint64_t ahead_bytes; /* it restarted from a file, and a replica has so much more; ours alone say so */
    bool may_hand_over;   /* it says how a hand-over goes: it knows the command FAILOVER */
    bool hands_over;      /* one is under way */
    /* a replica's */
    struct sentinel_address master; /* port 0: it says none */
    bool master_link_up;
    int64_t master_link_down_ms; /* how long it has been without its master; -1: it never had him */
    int64_t priority;            /* 0: never to be promoted */
    uint64_t offset;             /* of the stream, as applied */
    bool announced;              /* false: clients are not told of it */
};

void report_init(struct report *report);
/* Replaces all of `report`. Never fails: what makes no sense is passed over. */
void report_parse(struct bytes info, struct report *report);

/* The replicas that a master lists (slave0:ip=...,port=...,...), one after another: `at` is 0 at first. false:
 * no more. */
bool report_next_replica(struct bytes info, size_t *at, struct sentinel_address *out);

#endif
