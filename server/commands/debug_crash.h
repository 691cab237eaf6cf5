/* DEBUG's subcommands that end the server, each by another kind of fault: for trying what a crash looks like. */
#ifndef SLIPSTREAM_COMMANDS_DEBUG_CRASH_H
#define SLIPSTREAM_COMMANDS_DEBUG_CRASH_H

struct call;

void debug_segfault(struct call *call); /* a write to memory that is only for reading */
void debug_panic(struct call *call);
void debug_assert(struct call *call); /* a CHECK that fails */
void debug_oom(struct call *call);    /* an allocation that cannot be had */

#endif
