/* See request.h. Server process. */
#include "server/core/run/request.h"

#include "server/keyspace/keyspace.h"

void request_resolve(struct request *request, const struct command_table *commands, struct command_entry **last)
{
    /* Clients repeat themselves: the last command is the likeliest one, and its name is compared in one go. */
    struct command_entry *e = *last;
    if (!e || e->subcommand_count || e->container || !bytes_equal_nocase(request->argv[0], e->name))
        e = command_table_resolve(commands, request->argc, request->argv);
    request->command = *last = e;
    if (e && e->first_key && (uint32_t)e->first_key < request->argc) {
        request->first_key_index = (uint32_t)e->first_key;
        request->first_key_hash = key_hash(request->argv[e->first_key]);
    }
}
