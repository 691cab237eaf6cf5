/* A command that takes long and lets others speak meanwhile: a script past busy-reply-threshold. Server process. */
#ifndef SLIPSTREAM_CORE_SESSION_BUSY_H
#define SLIPSTREAM_CORE_SESSION_BUSY_H

#include <stdbool.h>

/* One per server, in struct core. While it is so, the loop has turns inside that command: nothing may look at the data
 * or change it, nor save it, until the command has ended. */
struct busy {
    const char *refusal; /* what others are told, but for commands with CMD_ALLOW_BUSY; NULL: it is not so */
};

static inline bool is_busy(const struct busy *b)
{
    return b->refusal != 0;
}

#endif
