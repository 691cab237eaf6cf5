/* The one way a command is run, whoever sends it. Server process. */
#ifndef SLIPSTREAM_CORE_RUN_RUN_H
#define SLIPSTREAM_CORE_RUN_RUN_H

#include "server/core/run/call.h"
#include "server/core/run/request.h"

/* Runs a command that has passed the gate, or needs none: EXEC's list, a wait that is over, a script. Counts it, and
 * propagates what it changed. */
void run_command(struct core *core, struct session *session, const struct request *request, int64_t now_ms);

/* The same of a command that once was counted and propagated: from a file, or from a stream of before. */
void run_loaded(struct core *core, struct session *session, const struct request *request, int64_t now_ms);

struct blocked;
/* A command that has waited is counted once: when it has run to its end, with all its time, or when it is refused.
 * Returns the ticks (of the clock) that it has taken so far, and was counted with. */
uint64_t run_uncount(struct command_entry *e, struct blocked *b);

/* Before a run of commands: the first one's time is counted from here. */
void run_chain_start(void);

/* From now on the slow log and the latency monitor go by the settings as they are. At the start,
 * and at their change. */
void run_follow_thresholds(struct core *core);

/* The innermost command that is running at this moment; NULL: none. For a crash report. */
const struct call *running_call(void);

#endif
