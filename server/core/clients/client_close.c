/* A client's end, in the server process: deaf and mute first, freed before the loop sends (clients.c). */
#include "server/core/clients/clients_parts.h"

#include "server/core/core.h"
#include "server/core/dataset/memory_limit.h"

void client_cut_off(struct client *c)
{
    c->conn = NULL;
    c->session.reply.out = &c->nowhere;
    c->session.reply.muted |= REPLY_NOBODY_LISTENS;
    c->guard.closed = true;
}

void client_close(struct client *c)
{
    struct clients *all = c->core->clients;
    if (c->close_asap) return;
    c->close_asap = c->guard.closed = true;
    if (c->woken) list_remove(&all->woken, &c->pending);
    c->woken = false;
    list_push_back(&all->dead, &c->pending);
    client_leave_accounts(c); /* else it would cost others their place */
    c->leaving_bytes = client_heap_memory(c);
    memory_limit_leaves(c->core, c->leaving_bytes);
    loop_frees_before_send(c->core->loop, c->leaving_bytes);
}

void client_close_after_reply(struct client *c)
{
    c->close_after_reply = true;
}
