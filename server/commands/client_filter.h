/* Which clients CLIENT KILL and CLIENT LIST mean. */
#ifndef SLIPSTREAM_COMMANDS_CLIENT_FILTER_H
#define SLIPSTREAM_COMMANDS_CLIENT_FILTER_H

#include "server/core/clients/clients.h"
#include "server/core/run/call.h"

struct client_filter {
    int class_;                  /* enum client_class, -1: any */
    struct bytes address, local; /* ptr NULL: any */
    struct bytes user;
    const struct bytes *ids; /* texts of checked integers; NULL: any */
    uint32_t id_count;
    const struct client *skip; /* spared; NULL: nobody */
};

/* Option and value pairs from argument `first` on. false: answered. */
bool client_filter_read(struct call *call, uint32_t first, struct client_filter *f);
bool client_filter_take_type(struct call *call, uint32_t arg, struct client_filter *f);
/* Each client meant, oldest first; where ids are given, in their order and as often. `visit` may close it. */
void client_filter_each(struct clients *clients, const struct client_filter *f,
                        void (*visit)(void *arg, struct client *c), void *arg);
/* The link to our master is no client of ours, but it is listed and closed as if it were one. *id: the master's; false:
 * the filter does not mean it, or there is none. */
bool client_filter_matches_master(const struct client_filter *f, const struct core *core, uint64_t *id);

#endif
