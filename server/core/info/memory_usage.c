/* See memory_usage.h. Server process. */
#include "server/core/info/memory_usage.h"

#include "repl/replication.h"
#include "server/core/clients/clients.h"
#include "server/core/command/stats.h"
#include "server/keyspace/keyspace.h"

static size_t keys_of_all(const struct core *core)
{
    size_t keys = 0;
    for (int i = 0; i < keyspace_databases(core->keyspace); i++)
        keys += database_size(keyspace_database(core->keyspace, i));
    return keys;
}

struct memory_usage memory_usage(const struct core *core)
{
    struct memory_usage u = {.used = mem_used(), .peak = mem_peak(), .resident = mem_resident()};
    if (u.peak < u.used) u.peak = u.used;
    u.at_start = core->stats->memory_at_start;
    u.keys = keys_of_all(core);
    struct keyspace_memory keyspace;
    keyspace_memory(core->keyspace, &keyspace);
    mem_allocator_info(&u.allocator);
    u.allocator.allocated += keyspace.store_used;
    u.allocator.active += keyspace.store_resident;
    u.allocator.resident += keyspace.store_resident;
    struct replication_memory replication = replication_memory(core->replication);
    u.shared = replication.backlog + replication.replicas;
    u.allocator.allocated += u.shared;
    u.allocator.active += u.shared;
    u.allocator.resident += u.shared;
    u.clients = clients_memory(core->clients, &u.replica_clients);
    if (u.replica_clients) u.for_replicas = replication.replicas; /* else it has outlived them */
    u.tables = keyspace.table_bytes;
    u.overhead = u.at_start + u.clients + u.replica_clients + u.tables + u.shared;
    u.dataset = u.used > u.overhead ? u.used - u.overhead : 0;
    return u;
}
