/* What CLIENT and HELLO share. */
#ifndef SLIPSTREAM_COMMANDS_CONNECTION_H
#define SLIPSTREAM_COMMANDS_CONNECTION_H

#include "server/core/run/call.h"

/* Replaces a session's name, library name or version (an empty text clears it). false: answered, `what` names it. */
bool connection_set_text(struct call *call, struct bytes *where, struct bytes text, const char *what);

#endif
