/* A server that starts itself again, for tests: DEBUG RESTART and CRASH-AND-RECOVER. */
#ifndef SLIPSTREAM_CORE_PROCESS_RESTART_H
#define SLIPSTREAM_CORE_PROCESS_RESTART_H

#include <stdint.h>

struct core;
struct lifecycle;

/* Writes the configuration, saves as SHUTDOWN does and ends the loop; main() then calls restart_in_place(). -1: neither
 * can be done, and the log says why; the server goes on. */
int restart_begin(struct core *core, int64_t delay_ms);
/* The last thing that a process does: it becomes what it was started as. Returns if that cannot be. */
void restart_in_place(const struct lifecycle *l);
/* Nothing is written or saved: this process is killed, and another one is started when it is dead. -1: it cannot be
 * started. */
int restart_after_crash(const struct lifecycle *l, int64_t delay_ms);

#endif
