/* This process towards the operating system: who it is, its limits, signals, pid file, daemon. */
#ifndef SLIPSTREAM_CORE_PROCESS_PROCESS_H
#define SLIPSTREAM_CORE_PROCESS_PROCESS_H

#include "server/core/lifecycle.h"

struct core;

/* What our parent ignored or blocked (nohup, a shell, a supervisor) comes to us as it comes to anyone. */
void process_reset_signals(void);
/* Until process_catch_signals(): SIGTERM and SIGINT end the process at once, also as PID 1, for which the kernel would
 * ignore them. */
void process_end_at_signals(void);
void process_identify(struct lifecycle *l, int argc, char **argv); /* run id, executable, start time */
void process_note_config_file(struct lifecycle *l, const char *path);
void process_daemonize(void);                               /* before the loop and any thread exist */
void process_raise_descriptor_limit(unsigned *max_clients); /* lowers *max_clients when the limit cannot be had */
void process_catch_signals(struct core *core); /* SIGTERM and SIGINT: shut down; SIGPIPE and SIGHUP: ignored */
void process_write_pidfile(struct lifecycle *l, const char *path); /* NULL: Redis's usual place. Best effort, logged */

#endif
