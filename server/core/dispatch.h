/* The one way a command is run. */
#ifndef SLIPSTREAM_CORE_DISPATCH_H
#define SLIPSTREAM_CORE_DISPATCH_H

#include "server/core/call.h"
#include "server/core/command_table.h"

/* One request as its reader left it, and what was found out about it before it runs. */
struct dispatch_request {
    uint32_t argc;
    const struct bytes *argv;
    struct bytes raw;              /* the request as one RESP array; empty when it must be encoded anew */
    struct command_entry *command; /* NULL: unknown */
    uint32_t first_key_index;      /* 0: no key, or not hashed ahead */
    uint64_t first_key_hash;
};

/* Resolves the command and hashes its first key; the caller may then prefetch. argc >= 1. */
void dispatch_prepare(struct core *core, struct session *session, struct dispatch_request *request);

/* Gate (unknown command, arity, auth, role, memory, loading, stale, pub/sub mode), then queue inside MULTI, or run. */
void dispatch_request(struct core *core, struct session *session, const struct dispatch_request *request);

/* Runs a command that has passed the gate: EXEC's list, a script, the master's stream, a loader. Statistics,
 * propagation. */
void dispatch_run(struct core *core, struct session *session, const struct dispatch_request *request, int64_t now_ms);

/* An error that was answered since the last one was counted is `command`'s: after each, and where a wait ends. */
void dispatch_count_error(struct core *core, struct session *session, struct command_entry *command);

/* Before a run of commands: the first one's time is counted from here. */
void dispatch_chain_start(void);

/* The innermost command that is running at this moment; NULL: none. For a crash report. */
const struct call *dispatch_running(void);

/* The row of a request, subcommands resolved; NULL: unknown. A container with an unknown subcommand gives the
 * container. */
struct command_entry *dispatch_resolve(struct core *core, uint32_t argc, const struct bytes *argv);

#endif
