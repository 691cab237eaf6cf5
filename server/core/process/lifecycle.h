/* From start to end: who this process is, and how it stops. */
#ifndef SLIPSTREAM_CORE_LIFECYCLE_H
#define SLIPSTREAM_CORE_LIFECYCLE_H

#include "server/core/session/session.h"

struct lifecycle {
    char run_id[41];
    char executable[4096], config_file[4096]; /* absolute; config_file "" when there is none */
    int64_t started_wall_s, started_monotonic_us;
    int argc;
    char **argv;
    uint64_t cron_loops;
    bool stopping;
    char pidfile[4096]; /* written at start, removed at the end; "": none */
    int shutdown_flags;
    int64_t shutdown_deadline_ms; /* monotonic: waiting for replicas until then; 0: not shutting down */
};

enum { SHUTDOWN_SAVE = 1, SHUTDOWN_NOSAVE = 2, SHUTDOWN_NOW = 4, SHUTDOWN_FORCE = 8 };
/* Begins: waits for replicas to catch up (shutdown-timeout) unless NOW, saves, ends the loop. -1: could not save, not
 * FORCE. */
int lifecycle_shutdown(struct core *core, int flags, struct session *caller);
int lifecycle_abort_shutdown(struct core *core); /* -1: none under way */
void lifecycle_cron(struct core *core, int64_t now_ms);

#endif
