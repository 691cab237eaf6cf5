/* MONITOR: every command, as it is run, to those who watch. Server process. */
#ifndef SLIPSTREAM_CORE_SESSION_MONITORS_H
#define SLIPSTREAM_CORE_SESSION_MONITORS_H

#include "server/core/session/session.h"

/* One per server, in struct core. The field is for the inline check below alone. */
struct monitors {
    struct list sessions; /* struct session.monitoring */
};

struct monitors *monitors_new(void);
void monitors_join(struct monitors *m, struct session *s);
void monitors_leave(struct monitors *m, struct session *s); /* also of one that is none */

static inline bool monitors_any(const struct monitors *m)
{
    return m->sessions.count > 0;
}

/* secrets: core/command/secrets.h. */
void monitors_show(const struct core *core, const struct session *from, uint32_t argc, const struct bytes *argv,
                   uint64_t secrets);

#endif
