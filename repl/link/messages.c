/* Messages between server and link, both ends. Server process and link process. */
#include "repl/link/messages.h"

#include "repl/link/main.h"
#include "shm/layout.h"

#include <stdio.h>

void link_protocol(char out[LINK_PROTOCOL_BYTES])
{
    snprintf(out, LINK_PROTOCOL_BYTES, "%d:%zu:%d:%zu", LINK_PROTOCOL_VERSION, sizeof(struct message), SHM_VERSION,
             sizeof(struct shm_control));
}

struct role link_role(char protocol[LINK_PROTOCOL_BYTES])
{
    link_protocol(protocol);
    return (struct role){.name = "slipstream-link",
                         .argument = LINK_ARGUMENT,
                         .title = "replication link",
                         .protocol = protocol,
                         .log_letter = 'L'};
}

int message_send(struct channel *c, const struct message *m, struct bytes body, const int *fds, int fd_count)
{
    return channel_send(c, bytes_make(m, sizeof(*m)), body, fds, fd_count);
}

const struct message *message_read(struct bytes received, struct bytes *body)
{
    if (received.len < sizeof(struct message)) return NULL;
    *body = bytes_make(received.ptr + sizeof(struct message), received.len - sizeof(struct message));
    return (const void *)received.ptr;
}
