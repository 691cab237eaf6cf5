/* Messages from server to journal, both ends. Server process and journal process. */
#include "server/aof/journal/messages.h"

#include "server/aof/journal/main.h"
#include "shm/layout.h"

#include <stdio.h>

struct role journal_role(char protocol[JOURNAL_PROTOCOL_BYTES])
{
    snprintf(protocol, JOURNAL_PROTOCOL_BYTES, "%d:%zu:%d:%zu", JOURNAL_PROTOCOL_VERSION,
             sizeof(struct journal_message), SHM_VERSION, sizeof(struct shm_control));
    return (struct role){.name = "slipstream-journal", /* the kernel keeps 15 of it */
                         .argument = JOURNAL_ARGUMENT,
                         .title = "journal",
                         .protocol = protocol,
                         .log_letter = 'J'};
}
