/* One request as its reader left it, and what is found out about it before it runs. Server process. */
#ifndef SLIPSTREAM_CORE_RUN_REQUEST_H
#define SLIPSTREAM_CORE_RUN_REQUEST_H

#include "server/core/command/command_table.h"

struct request {
    uint32_t argc;
    const struct bytes *argv;
    struct bytes raw;              /* the request as one RESP array; empty when it must be encoded anew */
    struct command_entry *command; /* NULL: unknown */
    uint32_t first_key_index;      /* 0: no key, or not hashed ahead */
    uint64_t first_key_hash;
    size_t taken; /* bytes of input that it was read from, where it was */
};

/* Resolves the command and hashes its first key; the caller may then prefetch. argc >= 1; no key is hashed yet. By any
 * thread. *last is the caller's: the command of the request before, or NULL. */
void request_resolve(struct request *request, const struct command_table *commands, struct command_entry **last);

/* It names a command that there is, and has as many arguments as that takes. */
static inline bool request_is_well_formed(const struct request *r)
{
    const struct command_entry *e = r->command;
    if (!e || (e->subcommand_count && r->argc >= 2)) return false;
    return e->row->arity >= 0 ? (int)r->argc == e->row->arity : (int)r->argc >= -e->row->arity;
}

#endif
