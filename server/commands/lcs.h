/* LCS has a file of its own; its row stands with the other strings. */
#ifndef SLIPSTREAM_COMMANDS_LCS_H
#define SLIPSTREAM_COMMANDS_LCS_H

#include "server/core/run/call.h"

void lcs_command(struct call *call);

#endif
