/* The commands that a Sentinel has beside those it shares with a server of data. Sentinel process. */
#ifndef SLIPSTREAM_SENTINEL_COMMANDS_H
#define SLIPSTREAM_SENTINEL_COMMANDS_H

#include "server/core/command/command.h"

extern const struct command sentinel_commands[];
extern const struct command_docs sentinel_docs;

#endif
