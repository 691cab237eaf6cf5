/* The gate: whether a request may run now. Server process. */
#ifndef SLIPSTREAM_CORE_RUN_GATE_H
#define SLIPSTREAM_CORE_RUN_GATE_H

#include "server/core/run/request.h"

struct core;
struct session;

#define GATE_ERROR_MAX 512

enum gate_way {
    GATE_RUN,
    GATE_QUEUE,   /* for EXEC */
    GATE_HOLD,    /* unread, until the pause ends */
    GATE_REFUSE,  /* with the verdict's error */
    GATE_CUT_OFF, /* without an answer: a browser's request */
};

struct verdict {
    enum gate_way way;
    bool by_rules;     /* GATE_REFUSE: the user's rules forbid it; who refuses tells acl_note_denied() */
    const char *error; /* GATE_REFUSE: its code first; a constant, or in `room` */
};

/* Nothing is changed by it, but for one thing: where memory is above its limit, keys are evicted to make room. */
struct verdict gate_judge(struct core *core, const struct session *s, const struct request *r,
                          char room[GATE_ERROR_MAX]);

/* A replica whose link to its master is down, and which may not serve what it has meanwhile. */
#define GATE_STALE_ERROR "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
bool gate_is_stale(const struct core *core);

#endif
