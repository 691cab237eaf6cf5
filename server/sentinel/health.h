/* Whether one instance is down in our own eyes, as a state machine: events and the time go in, what is to be done comes
 * out. Sentinel process; pure: it owns no connection and reads no clock.
 *
 *   UP -> LATE -> DOWN           no valid answer to PING; DOWN is what Redis calls subjectively down
 *   UP -> BUSY -> DOWN           it answers -BUSY: the script is killed half-way there, as far as it can be
 *   LATE or BUSY or DOWN -> UP   a valid answer
 *
 * Valid are +PONG, -LOADING and -MASTERDOWN (Redis's documentation, "High availability with Redis Sentinel"). Three
 * more things make an instance count as down although it answers: a master that says it is a replica, a master that has
 * restarted and loads for longer than master-reboot-down-after-period, and a master that has restarted with less data,
 * or none, than a replica has: what follows it now loses the rest. */
#ifndef SLIPSTREAM_SENTINEL_HEALTH_H
#define SLIPSTREAM_SENTINEL_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum health_state { HEALTH_UP, HEALTH_LATE, HEALTH_BUSY, HEALTH_DOWN, HEALTH_STATES };

struct health_settings {
    int64_t down_after_ms;
    int64_t reboot_down_after_ms; /* how long a restarted master may load; 0: as long as it takes */
    /* How much longer than down_after_ms a role may be wrong: news of it are rare, and somebody may be moving the
     * master. One that comes back from a restart with another role is not waited for like that. */
    int64_t role_grace_ms;
    int64_t link_young_ms; /* a connection this young is not thrown away for its silence */
};

enum health_answer { ANSWER_PONG, ANSWER_LOADING, ANSWER_MASTERDOWN, ANSWER_BUSY, ANSWER_OTHER };

enum health_event_kind {
    HEALTH_EVENT_LINKED,   /* a connection stands */
    HEALTH_EVENT_UNLINKED, /* it is lost, or could not be had */
    HEALTH_EVENT_PINGED,   /* a PING has been sent */
    HEALTH_EVENT_ANSWERED, /* `answer` came */
    HEALTH_EVENT_ROLE,     /* its INFO says a role: `wrong`, it isn't the one we know it by */
    HEALTH_EVENT_REBOOTED, /* its run id is another */
    HEALTH_EVENT_EMPTIED,  /* `wrong`: it came back without the data that others have; or that is over */
    HEALTH_EVENT_TICK
};

struct health_event {
    enum health_event_kind kind;
    enum health_answer answer;
    bool wrong;
    bool rebooted; /* ROLE: it is another process that says so, since the last time */
};

/* What comes out: bits. */
enum {
    HEALTH_WENT_DOWN = 1 << 0,
    HEALTH_CAME_UP = 1 << 1,
    HEALTH_KILL_SCRIPT = 1 << 2, /* SCRIPT KILL, once for each time that it becomes busy */
    HEALTH_RECONNECT = 1 << 3    /* the connection stands and is silent: another one may do better */
};

struct health {
    enum health_state state;
    bool linked;
    bool wrong_role;
    bool wrong_since_reboot; /* it came back with that role */
    bool emptied;
    bool rebooting; /* restarted; nothing but -LOADING since */
    bool kill_sent;
    enum health_answer last_answer;
    int64_t since_ms;      /* entered the state */
    int64_t ok_ms;         /* the last valid answer; at first: when we began to look */
    int64_t heard_ms;      /* the last answer of any kind */
    int64_t pinged_ms;     /* the oldest PING without a valid answer; 0: none */
    int64_t last_ping_ms;  /* the last PING sent */
    int64_t linked_ms;     /* the connection stands since */
    int64_t unlinked_ms;   /* it was lost; 0: never yet */
    int64_t wrong_role_ms; /* the role is wrong since */
    int64_t rebooted_ms;   /* restarted */
    char reason[160];      /* why it went down, with the numbers; "" while it is not */
};

/* now_ms: monotonic, above 0. */
void health_init(struct health *h, int64_t now_ms);
/* Returns what is to be done. `settings` may be others each time: SENTINEL SET changes them. */
unsigned health_step(struct health *h, const struct health_settings *settings, const struct health_event *event,
                     int64_t now_ms);
/* When a TICK may bring something next; INT64_MAX: not by time alone. */
int64_t health_deadline_ms(const struct health *h, const struct health_settings *settings);
/* Whether it answers late enough to be asked for nothing that needs an answer. */
bool health_is_down(const struct health *h);

#endif
