/* From start to end: who this process is, and how far its end is. Pure data, for anyone to read; written by
 * core/process/. */
#ifndef SLIPSTREAM_CORE_LIFECYCLE_H
#define SLIPSTREAM_CORE_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

struct lifecycle {
    char run_id[41];
    char executable[4096], config_file[4096]; /* absolute; config_file "" when there is none */
    char start_directory[4096];               /* what relative paths among the arguments begin at */
    int64_t started_wall_s, started_monotonic_us;
    int argc;
    char **argv;
    uint64_t cron_loops;
    bool stopping;
    char pidfile[4096]; /* written at start, removed at the end; "": none */
    int shutdown_flags;
    int64_t shutdown_deadline_ms; /* monotonic: waiting for replicas until then; 0: not shutting down */
    bool restarts;                /* the end is to be a new beginning: core/process/restart.h */
    int64_t restart_delay_ms;
};

enum { SHUTDOWN_SAVE = 1, SHUTDOWN_NOSAVE = 2, SHUTDOWN_NOW = 4, SHUTDOWN_FORCE = 8 };

#endif
