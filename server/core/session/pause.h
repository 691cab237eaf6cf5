/* CLIENT PAUSE and its kin (fail-over, shutdown). Server process.
 *
 * Each purpose has its own pause; the strictest one in force counts. A held session is blocked with its request unread,
 * and its owner reads it again when the pause has ended. Times are monotonic. */
#ifndef SLIPSTREAM_CORE_SESSION_PAUSE_H
#define SLIPSTREAM_CORE_SESSION_PAUSE_H

#include "server/core/session/session.h"

struct blocking;

#define PAUSES_MAX 4 /* CLIENT PAUSE, fail-over, shutdown, append-only file */

enum pause_kind { PAUSE_NONE, PAUSE_WRITE, PAUSE_ALL };

/* One per server, in struct core. The fields are for the inline check below alone. */
struct pauses {
    struct blocking *blocking;
    struct keyspace *keyspace;
    struct pause {
        enum pause_kind kind;
        int64_t until_ms;
        const char *purpose;
    } each[PAUSES_MAX];
    enum pause_kind strictest; /* of each, whether its time has come or not */
    int units;                 /* that run, one inside another */
};

struct pauses *pauses_new(struct blocking *blocking, struct keyspace *keyspace);
void pause_begin(struct pauses *p, enum pause_kind kind, int64_t until_ms, const char *purpose);
void pause_end(struct pauses *p, const char *purpose);
/* Around a transaction, and a script that others are served beside. One that begins a pause itself writes on: for it
 * what has expired is removed as before, for whoever follows would still see that and make something else of
 * a write that must not. */
void pauses_unit(struct pauses *p, bool runs);
void pauses_end_due(struct pauses *p, int64_t now_ms); /* each turn */
void pause_hold(struct pauses *p, struct session *s);  /* until the pause ends */

static inline bool pauses_any(const struct pauses *p)
{
    return p->strictest != PAUSE_NONE;
}

enum pause_kind pauses_now(const struct pauses *p, int64_t now_ms); /* slow path: ask pauses_any() first */

#endif
