/* One server that a Sentinel watches: a master, a replica, or another Sentinel. Sentinel process; pure.
 *
 * Another Sentinel is one instance, with one link, however many masters it watches together with us. */
#ifndef SLIPSTREAM_SENTINEL_INSTANCE_H
#define SLIPSTREAM_SENTINEL_INSTANCE_H

#include "server/sentinel/action.h"
#include "server/sentinel/failover.h"
#include "server/sentinel/health.h"
#include "server/sentinel/report.h"

#define INSTANCE_IP_MAX 64

enum instance_kind { INSTANCE_MASTER, INSTANCE_REPLICA, INSTANCE_SENTINEL };

struct watched;

struct instance_link {
    bool up, opening;
    int64_t tried_ms; /* the last try; 0: never */
    int64_t heard_ms; /* up since, or a message since then */
};

struct instance {
    uint64_t id;
    enum instance_kind kind;
    struct watched *watched; /* NULL: a Sentinel */
    struct instance_link link[SENTINEL_LINKS];
    int pending;      /* requests without a reply */
    int64_t early_ms; /* the next PING comes so much sooner than a period after the last */
    int64_t hello_sent_ms, hello_heard_ms;
    bool info_asked;
    int64_t info_sent_ms, info_ms;    /* 0: never; so with all that is a master's or replica's alone */
    struct health health;             /* up to here, and most of this, each tick and answer looks at */
    struct sentinel_address address;  /* as it was given: a name stays a name */
    char ip[INSTANCE_IP_MAX];         /* where the last connection led; "": none yet */
    char local_ip[INSTANCE_IP_MAX];   /* our end of it: where we can be reached from there */
    char run_id[SENTINEL_RUN_ID + 1]; /* "": not known yet */
    /* a master's or replica's */
    struct report report;    /* of the last INFO */
    char *info;              /* the whole of it, for SENTINEL INFO-CACHE; NULL: none yet */
    int64_t role_since_ms;   /* it says this role since */
    int64_t config_since_ms; /* it says this master since */
    int64_t run_since_ms;    /* its run id was new to us then */
    uint64_t keys_before;    /* it had so many when it restarted; until it has loaded what it has now */
    int64_t emptied_ms;      /* a master that came back without them, at that time; 0: it did not */
    bool stranger;           /* another server at a reused address: nothing is done to it */
    bool deposed;            /* it was the master until another was, and has not been seen to follow since */
    bool left_alone;         /* it says that it is a master, and we cannot know better: that has been noted */
    enum reconfiguration reconfiguration;
    int64_t reconfiguration_ms;
};

#define INSTANCE_HOT_BYTES (offsetof(struct instance, health) + offsetof(struct health, reason))

/* Whether this is its address: the one it was given, or where its name led. */
bool instance_is_at(const struct instance *i, const char *host, int port);
/* Its host as others are told of it: the name it was given, or the address that the name stands for. */
const char *instance_host(const struct instance *i, bool by_name);
bool instance_is_up(const struct instance *i); /* reachable by commands, and not down */
/* What it has said of itself, as the choice wants to know it. */
struct candidate;
void instance_candidate(const struct instance *i, int64_t now_ms, struct candidate *out);

#endif
