/* The core of a Sentinel: all that it watches, all that it decides. Sentinel process; pure.
 *
 * Events and the time go in, actions come out (action.h). It owns its memory and nothing else: no socket, clock, file
 * or global, so that a simulator holds as many of them in a process as it likes. Chance comes from the seed alone.
 *
 *   health.h     is one instance down in our own eyes      election.h   votes
 *   failover.h   the steps of one fail-over                choice.h     the replica to promote
 *   hello.h      what Sentinels say to each other          report.h     INFO
 *   tilt.h       when time itself cannot be trusted        watched.h    a master and all around it
 */
#ifndef SLIPSTREAM_SENTINEL_SENTINEL_H
#define SLIPSTREAM_SENTINEL_SENTINEL_H

#include "server/base/random.h"
#include "server/sentinel/tilt.h"
#include "server/sentinel/watched.h"

/* The periods, in ms: defaults are Redis's; SENTINEL DEBUG changes them. */
struct sentinel_periods {
    int64_t ping, info, info_urgent, hello, ask;
    int64_t reconnect;    /* between two tries */
    int64_t begin_within; /* a fail-over begins by chance within so long, so that few begin at once */
    int64_t election;     /* the longest one */
    int64_t promotion;    /* between two looks at whom we promote, or lead to the new master */
    int64_t reconfigured; /* so long SLAVEOF may be without effect on a replica before it is sent again */
    int64_t down_after, failover_timeout; /* of masters to come */
    struct tilt_settings tilt;
    int64_t link_young;                /* a connection is given so long before it is thrown away for its silence */
    int64_t script_runs, script_waits; /* the driver's: a script's longest run, and its first wait for another try */
};

/* Where a Sentinel is to die, for a test: bits. SENTINEL SIMULATE-FAILURE sets them. */
enum { DIE_AFTER_ELECTION = 1 << 0, DIE_AFTER_PROMOTION = 1 << 1 };

struct sentinel_settings {
    struct sentinel_periods periods;
    struct sentinel_address announce; /* host "": as the connection shows it; port 0: `port` */
    int port;                         /* where we listen */
    bool announce_hostnames;          /* names go out as names */
    unsigned die_after;               /* DIE_AFTER_* */
};

/* When a master is to be looked at. Ticks before tend_ms find nothing to do; 0: the next one is to look, and what
 * changes anything says so by sentinel_look_again(). Of those in between, the loop has to know one: deadline_ms. */
struct sentinel_due {
    int64_t tend_ms, deadline_ms;
};

struct sentinel {
    struct sentinel_settings settings;
    char run_id[SENTINEL_RUN_ID + 1];
    uint64_t current_epoch;
    struct tilt tilt;
    struct random_state random;
    int master_count, peer_count;
    int master_room, peer_room;
    struct watched **masters;
    struct sentinel_due *dues; /* by the masters' places: side by side, for each tick looks at all of them */
    struct instance **peers;   /* the other Sentinels */
    struct instance **ids;     /* by the lower half of an id; NULL: free */
    uint32_t *generations;     /* the upper half */
    size_t id_room;
    int64_t next_ms;              /* the next tick that brings something */
    struct sentinel_actions *out; /* while a call lasts */
};

void sentinel_settings_init(struct sentinel_settings *settings);
void sentinel_init(struct sentinel *s, const struct sentinel_settings *settings, const char *run_id, uint64_t seed);
void sentinel_free(struct sentinel *s);

enum sentinel_event_kind {
    SENTINEL_EVENT_TICK,
    SENTINEL_EVENT_LINKED,   /* `link` stands; `ip`: of the other end, `local_ip`: of ours */
    SENTINEL_EVENT_UNLINKED, /* `link` is lost, or could not be had; requests under way stay without an answer */
    SENTINEL_EVENT_REPLY,    /* to `request`: `error`, `text`; of IS_DOWN the last three, and as `text` the text of the
                                request, with a zero behind it: the master's name */
    SENTINEL_EVENT_HELLO     /* `text` on the channel; `instance` 0: by PUBLISH to us */
};

struct sentinel_event {
    enum sentinel_event_kind kind;
    uint64_t instance;
    enum sentinel_link link;
    enum sentinel_request request;
    bool error;
    struct bytes text; /* of an error: without its '-' */
    const char *ip, *local_ip;
    bool down;
    struct bytes leader; /* "*": none */
    uint64_t epoch;
};

/* now_ms: monotonic, above 0. `out` is filled from scratch. */
void sentinel_step(struct sentinel *s, const struct sentinel_event *event, int64_t now_ms,
                   struct sentinel_actions *out);
/* The next TICK: at least ten times a second, for TILT is told by their rhythm. */
int64_t sentinel_deadline_ms(const struct sentinel *s, int64_t now_ms);

/* --- what is asked of us. `out` is filled from scratch in all of them. --- */

struct sentinel_down_answer {
    bool down;
    char leader[SENTINEL_RUN_ID + 1]; /* "*": none */
    uint64_t epoch;
};
/* SENTINEL IS-MASTER-DOWN-BY-ADDR; run_id "*": no vote is wanted. Actions first (a vote is saved), then the answer. */
void sentinel_is_master_down(struct sentinel *s, const struct sentinel_address *master, uint64_t epoch,
                             const char *run_id, int64_t now_ms, struct sentinel_down_answer *answer,
                             struct sentinel_actions *out);
struct watched *sentinel_master(const struct sentinel *s, const char *name); /* NULL: none */
/* NULL: the name is taken. */
struct watched *sentinel_monitor(struct sentinel *s, const char *name, const struct sentinel_address *master,
                                 const struct watched_settings *settings, int64_t now_ms, struct sentinel_actions *out);
void sentinel_remove(struct sentinel *s, struct watched *w, struct sentinel_actions *out);
void sentinel_reset(struct sentinel *s, struct watched *w, int64_t now_ms, struct sentinel_actions *out);
/* NULL, or the error in Redis's words. */
const char *sentinel_failover(struct sentinel *s, struct watched *w, int64_t now_ms, struct sentinel_actions *out);
/* A period, or what is set for a master: no wait goes by the old one. */
void sentinel_settings_changed(struct sentinel *s);
/* The next tick is to look at this master. */
void sentinel_look_again(const struct watched *w);
void sentinel_watched_settings_init(const struct sentinel_periods *periods, struct watched_settings *settings,
                                    int quorum);

/* What the configuration file knows of a master; no events come of it. Between sentinel_monitor and the first step. */
void sentinel_know_replica(struct watched *w, const struct sentinel_address *at, int64_t now_ms);
int sentinel_know_sentinel(struct watched *w, const struct sentinel_address *at, const char *run_id, int64_t now_ms);

/* --- for the parts of the core --- */

struct instance *sentinel_add_instance(struct sentinel *s, enum instance_kind kind, struct watched *w,
                                       const struct sentinel_address *at, int64_t now_ms);
void sentinel_forget_instance(struct sentinel *s, struct instance *i);
struct instance *sentinel_instance(const struct sentinel *s, uint64_t id); /* NULL: it is gone */
/* An event of that instance is about to come; near: it is the next but one, and the first call was some time ago. */
void sentinel_prefetch(const struct sentinel *s, uint64_t id, bool near);
struct instance *sentinel_peer(const struct sentinel *s, const char *run_id);
struct instance *sentinel_add_peer(struct sentinel *s, const char *run_id, const struct sentinel_address *at,
                                   int64_t now_ms);
void sentinel_release_peer(struct sentinel *s, struct instance *peer); /* forgotten, if it watches none of ours */
void sentinel_raise_epoch(struct sentinel *s, uint64_t epoch);         /* says +new-epoch where it is one */
void sentinel_save(struct sentinel *s);
void sentinel_die_if(struct sentinel *s, unsigned die_after); /* where the settings say so */
struct sentinel_action *sentinel_send(struct sentinel *s, struct instance *i, enum sentinel_request request);
/* Event `type` about `i`, as one of w's; `format` is what follows Redis's description of it, with its own blank. */
void sentinel_say(struct sentinel *s, enum log_level level, const char *type, const struct watched *w,
                  const struct instance *i, const char *format, ...) __attribute__((format(printf, 6, 7)));
void sentinel_note(struct sentinel *s, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What to do for an instance at a tick: links, PING, INFO, hello, its health. Returns from when on there may be more,
 * if nothing is heard of it before; 0: at the next tick. */
int64_t sentinel_tend(struct sentinel *s, struct watched *w, struct instance *i, int64_t now_ms);
struct health_settings sentinel_health_settings(const struct sentinel *s, const struct instance *i);
void sentinel_health_changed(struct sentinel *s, struct instance *i, unsigned changes, int64_t now_ms);
/* A message of another Sentinel's, or our own; heard_at: NULL where it was told to us by PUBLISH. */
void sentinel_take_hello(struct sentinel *s, const struct instance *heard_at, struct bytes text, int64_t now_ms);
void sentinel_tell_hello(struct sentinel *s, struct watched *w, struct instance *to, int64_t now_ms);

#endif
