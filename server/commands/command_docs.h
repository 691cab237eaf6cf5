/* COMMAND DOCS [name ...]; its row stands with the others of COMMAND. */
#ifndef SLIPSTREAM_COMMANDS_COMMAND_DOCS_H
#define SLIPSTREAM_COMMANDS_COMMAND_DOCS_H

#include "server/core/run/call.h"

void command_docs(struct call *call);

#endif
