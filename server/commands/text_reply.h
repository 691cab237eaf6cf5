/* Text for people, gathered in a queue, as one string. */
#ifndef SLIPSTREAM_COMMANDS_TEXT_REPLY_H
#define SLIPSTREAM_COMMANDS_TEXT_REPLY_H

#include "server/resp/writer.h"

void reply_text_of(struct reply *r, struct outq *text); /* verbatim in RESP3; the queue is empty afterwards */

#endif
