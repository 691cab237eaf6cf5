/* INFO: which sections a client wants. The sections stand in core/info/. Server process. */
#include "server/core/info/info.h"

#include "server/base/alloc.h"
#include "server/commands/tables.h"
#include "server/core/core.h"
#include "server/core/run/call.h"

/* The text may lie in several chunks; a reply of one string needs it in one piece. */
static uint8_t *joined(struct outq *text, size_t len)
{
    uint8_t *copy = mem_alloc(len + 1);
    for (size_t at = 0; at < len;) {
        struct bytes front = outq_front(text);
        memcpy(copy + at, front.ptr, front.len);
        outq_consume(text, front.len);
        at += front.len;
    }
    return copy;
}

static void info_command(struct call *call)
{
    struct outq text = {0};
    info_write(call->core, &text, call->argc - 1, call->argv + 1);
    size_t len = outq_pending(&text);
    uint8_t *whole = joined(&text, len);
    reply_verbatim(call->reply, bytes_make(whole, len), "txt");
    mem_free(whole);
    outq_clear(&text);
}

const struct command info_commands[] = {
    {"info", info_command, -1, CMD_LOADING | CMD_STALE | CMD_SENTINEL, CAT_DANGEROUS,
     .tips = TIP_NONDETERMINISTIC_OUTPUT | TIP_REQUEST_ALL_SHARDS | TIP_RESPONSE_SPECIAL},
    {.name = NULL},
};
