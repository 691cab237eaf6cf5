/* The command families of scripts: arrays of rows, each ending with a row without name, next to its handlers. */
#ifndef SLIPSTREAM_SCRIPT_COMMANDS_H
#define SLIPSTREAM_SCRIPT_COMMANDS_H

#include "server/core/command/command.h"

extern const struct command eval_commands[];
extern const struct command function_commands[];

#endif
