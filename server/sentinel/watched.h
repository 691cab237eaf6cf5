/* One master that a Sentinel watches, with its replicas, and the other Sentinels that watch it. Sentinel process; pure.
 *
 *   watched.c           what belongs to it, and how it becomes another: a switch of the master
 *   watched_info.c      what its instances say of themselves
 *   watched_vote.c      whether the master is down in the eyes of a quorum; votes
 *   watched_failover.c  the driver of failover.h
 */
#ifndef SLIPSTREAM_SENTINEL_WATCHED_H
#define SLIPSTREAM_SENTINEL_WATCHED_H

#include "server/sentinel/election.h"
#include "server/sentinel/instance.h"

struct sentinel;

/* Another Sentinel, as far as this master goes. */
struct voter {
    struct instance *peer;
    struct ballot ballot; /* its vote, as it told us */
    bool says_down;       /* that the master is down in its eyes */
    int64_t answered_ms;  /* it said so; 0: never */
    int64_t asked_ms;
    int64_t hello_ms; /* its last hello about this master */
    int64_t told_ms;  /* the last one whose configuration was looked at: in TILT none is */
};

struct watched_settings {
    int quorum;
    int parallel_syncs;
    int64_t down_after_ms;
    int64_t failover_timeout_ms;
    int64_t reboot_down_after_ms;
};

/* What the driver wants to know of a master; texts are the master's, NULL where there are none. */
struct watched_access {
    char *auth_user, *auth_pass;
    char *notification_script, *reconfig_script;
    int rename_count;
    struct {
        char *from, *to;
    } * renames; /* commands that are called otherwise there */
};

#define REIGN_MAX 8

/* The histories of the last master that was promoted, as it has told them: its first one goes on from that of the
 * master before, of which somebody may have more. A restart brings another, and what it leaves counts as before. */
struct reign {
    int count;       /* 0: not known */
    int64_t told_ms; /* when it last did */
    char before[SENTINEL_RUN_ID + 1];
    char history[REIGN_MAX][SENTINEL_RUN_ID + 1];
};

struct watched {
    struct sentinel *sentinel;
    struct instance *master;
    int place; /* in the Sentinel's list */
    struct watched_settings settings;
    struct watched_access access;
    char name[SENTINEL_NAME_MAX]; /* up to here, each tick and answer looks at it */
    int replica_count, voter_count;
    int replica_room, voter_room;
    struct instance **replicas;
    struct voter *voters;
    uint64_t config_epoch; /* in which the master became the master */
    uint64_t draw_epoch;   /* another Sentinel has said that somebody else did so in the same one; 0: none has */
    int64_t draw_since_ms; /* ... since then */
    struct ballot own;     /* our vote */
    bool down;             /* objectively: a quorum says so */
    int64_t down_since_ms;
    int64_t begin_ms; /* a fail-over of ours is to begin; 0: none */
    struct failover failover;
    struct instance *chosen; /* the replica that the fail-over promotes */
    bool hand_over_accepted; /* the master has said so; what it says of itself since then is about that */
    bool was_promoted;       /* we know of the fail-over that made it the master, and have known it before */
    struct reign reign;      /* seldom looked at */
};

#define WATCHED_HOT_BYTES offsetof(struct watched, name)

struct watched *watched_new(struct sentinel *s, const char *name, const struct sentinel_address *master,
                            const struct watched_settings *settings, int64_t now_ms);
void watched_free(struct watched *w); /* its instances are forgotten */
struct instance *watched_replica_at(const struct watched *w, const char *host, int port); /* NULL: none */
struct instance *watched_add_replica(struct watched *w, const struct sentinel_address *at, int64_t now_ms);
struct voter *watched_voter(const struct watched *w, const char *run_id); /* NULL: none */
struct voter *watched_add_voter(struct watched *w, struct instance *peer);
void watched_remove_voter(struct watched *w, struct voter *voter); /* the peer goes with its last master */
/* Replicas and other Sentinels are forgotten, to be found anew; a fail-over is given up. */
void watched_reset(struct watched *w, int64_t now_ms);
/* The master as clients are to know it: the promoted one as soon as it says that it is a master. */
struct instance *watched_current(const struct watched *w);
/* The one at this address becomes the master, and the master a replica. */
void watched_switch(struct watched *w, const struct sentinel_address *to, int64_t now_ms);

/* An INFO of the master's or a replica's. */
void watched_take_info(struct watched *w, struct instance *i, struct bytes info, int64_t now_ms);
/* The master as it should be, and heard of lately: only then others are told to follow it. */
bool watched_master_is_sane(const struct watched *w, int64_t now_ms);
/* Where our own settings say that this server is to follow another. */
void watched_order_follow(struct watched *w, struct instance *i);

/* Down by quorum or not; asks the others when it is time. */
void watched_check_down(struct watched *w, int64_t now_ms);
void watched_ask_others(struct watched *w, bool at_once, int64_t now_ms);
void watched_take_answer(struct watched *w, const char *peer, bool down, const char *leader, uint64_t epoch,
                         int64_t now_ms);
/* How many can be reached, of all Sentinels of this master, ourselves included. */
int watched_usable_voters(const struct watched *w);
/* Whether most of them, ourselves included, have told their configuration within the last within_ms: a newer one of
 * which they know would be ours. */
bool watched_majority_told(const struct watched *w, int64_t within_ms, int64_t now_ms);

/* Whether the last master that was promoted has told this history as its own. */
bool watched_is_of_reign(const struct watched *w, const char *history);

/* Steps the fail-over, and carries out what it asks for. */
void watched_failover_event(struct watched *w, enum failover_event_kind kind, int64_t now_ms);
/* At every tick and at all news: begins one where it is time, counts votes, tells replicas. */
void watched_drive_failover(struct watched *w, int64_t now_ms);
/* INFO to every replica at once: what they say now is about to decide. */
void watched_ask_infos(struct watched *w, int64_t now_ms);
/* TILT has begun: what has not told anybody anything yet is given up, since by its end others may have replaced the
 * master, in a newer epoch. */
void watched_stand_still(struct watched *w, int64_t now_ms);
/* SENTINEL FAILOVER. NULL, or why not, in Redis's words. */
const char *watched_force_failover(struct watched *w, int64_t now_ms);
struct failover_settings watched_failover_settings(const struct watched *w, int64_t retry_ms);
bool watched_in_failover(const struct watched *w);
void watched_spread(struct watched *w); /* our configuration, with the next tick, to everybody */

#endif
