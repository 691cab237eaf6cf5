/* What a Sentinel's core asks for: connections, commands, events, a file to be written. Sentinel process; pure. The
 * driver (links.c, or a simulator) carries the actions out in order. */
#ifndef SLIPSTREAM_SENTINEL_ACTION_H
#define SLIPSTREAM_SENTINEL_ACTION_H

#include "server/base/log.h"
#include "server/sentinel/hello.h"

enum sentinel_link { LINK_COMMANDS, LINK_MESSAGES, SENTINEL_LINKS };

enum sentinel_request {
    REQUEST_PING,
    REQUEST_INFO,
    REQUEST_HELLO,       /* PUBLISH __sentinel__:hello `text` */
    REQUEST_IS_DOWN,     /* SENTINEL IS-MASTER-DOWN-BY-ADDR `address` `epoch` `run_id` */
    REQUEST_PROMOTE,     /* SLAVEOF NO ONE, CONFIG REWRITE, CLIENT KILL TYPE normal and pubsub, in one MULTI */
    REQUEST_FOLLOW,      /* the same with SLAVEOF `address` */
    REQUEST_HAND_OVER,   /* FAILOVER TO `address` TIMEOUT `timeout_ms` */
    REQUEST_KILL_SCRIPT, /* SCRIPT KILL */
    SENTINEL_REQUESTS
};

enum sentinel_action_kind {
    SENTINEL_SAVE,         /* the state is to be on disk before what follows in this list */
    SENTINEL_CONNECT,      /* `link` to `address`; answer: LINKED or UNLINKED */
    SENTINEL_DISCONNECT,   /* `link`; answer: UNLINKED */
    SENTINEL_FORGET,       /* both links; no answer, the id means nobody any more */
    SENTINEL_SEND,         /* `request` on LINK_COMMANDS; answer: REPLY, or UNLINKED */
    SENTINEL_SAY,          /* an event: to the log, by PUBLISH `type` `text`, to the notification script if a warning */
    SENTINEL_NOTE,         /* `text`, to the log alone */
    SENTINEL_RECONFIGURED, /* client-reconfig-script of `master` with `text`: the arguments behind the name */
    SENTINEL_DIE           /* at once, and nothing that follows is done: a failure that was asked for */
};

#define SENTINEL_TEXT_MAX 1280

struct sentinel_action {
    enum sentinel_action_kind kind;
    enum sentinel_link link;
    enum sentinel_request request;
    enum log_level level;
    uint64_t instance; /* its id */
    uint64_t epoch;
    int64_t timeout_ms;
    const char *master; /* SAY, RECONFIGURED: a master's name, or NULL; valid until the next call into the core */
    struct sentinel_address address;
    char run_id[SENTINEL_RUN_ID + 1]; /* or "*" */
    char type[48];
    char text[SENTINEL_TEXT_MAX];
};

/* Owned by the driver; all zero is an empty list. */
struct sentinel_actions {
    int count, room;
    struct sentinel_action *list;
};

/* One more, with kind set and texts empty; valid until the next. */
struct sentinel_action *sentinel_actions_add(struct sentinel_actions *actions, enum sentinel_action_kind kind);
void sentinel_actions_free(struct sentinel_actions *actions);

#endif
