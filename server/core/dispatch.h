/* The one way a command is run. */
#ifndef SLIPSTREAM_CORE_DISPATCH_H
#define SLIPSTREAM_CORE_DISPATCH_H

#include "server/core/call.h"
#include "server/core/command_table.h"

/* Gate (unknown command, arity, auth, role, memory, loading, stale, pub/sub mode), queue inside MULTI, or run; then
 * statistics and propagation. Used for every request of a client. argv[0] is the name. */
void dispatch_request(struct core *core, struct session *session, uint32_t argc, const struct bytes *argv, struct bytes raw);

/* Runs a command that has passed the gate: EXEC's list, scripts, a master's stream, a loader. Fills statistics, propagates. */
void dispatch_run(struct core *core, struct session *session, struct command_entry *command, uint32_t argc,
                  const struct bytes *argv, struct bytes raw, int64_t now_ms);

/* The row of a request, subcommands resolved; NULL: unknown. */
struct command_entry *dispatch_resolve(struct core *core, uint32_t argc, const struct bytes *argv);

#endif
