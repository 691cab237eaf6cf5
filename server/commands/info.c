/* INFO: which sections a client wants. The sections stand in core/info/. Server process. */
#include "server/core/info/info.h"

#include "server/commands/tables.h"
#include "server/commands/text_reply.h"
#include "server/core/core.h"
#include "server/core/run/call.h"

static void info_command(struct call *call)
{
    struct outq text = {0};
    info_write(call->core, &text, call->argc - 1, call->argv + 1);
    reply_text_of(call->reply, &text);
}

const struct command info_commands[] = {
    {"info", info_command, -1, CMD_LOADING | CMD_STALE | CMD_SENTINEL, CAT_DANGEROUS,
     .tips = TIP_NONDETERMINISTIC_OUTPUT | TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_SPECIAL},
    {.name = NULL},
};
