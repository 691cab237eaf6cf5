/* INFO memory. Server process.
 *
 * Records live in a store that is mapped, not allocated, and the replication backlog in shared memory; both are added
 * to the allocator's figures, so that ratios between them keep the meaning they have where everything is allocated.
 * The virtual machines of scripts are not in the used memory, as in Redis. */
#include "server/core/info/info_parts.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/number.h"
#include "server/core/clients/clients.h"
#include "server/core/command/stats.h"
#include "server/core/config/config.h"
#include "server/core/dataset/memory_limit.h"
#include "server/core/script_host.h"
#include "server/core/settings.h"
#include "server/keyspace/keyspace.h"

#include <stdio.h>
#include <unistd.h>

struct usage {
    size_t used, peak, resident, at_start;
    size_t clients, tables, overhead, dataset;
    size_t replica_clients, shared, for_replicas; /* the latter of the shared: beyond the backlog's own size */
    struct mem_allocator_info allocator;
};

static struct usage measure(const struct core *core)
{
    struct usage u = {.used = mem_used(), .peak = mem_peak(), .resident = mem_resident()};
    if (u.peak < u.used) u.peak = u.used;
    u.at_start = core->stats->memory_at_start;
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

static double ratio(size_t a, size_t b)
{
    return b ? (double)a / (double)b : 0;
}

static void size_field(struct outq *out, const char *name, uint64_t bytes)
{
    info_field(out, "%s:%llu", name, (unsigned long long)bytes);
}

static void size_field_human(struct outq *out, const char *name, uint64_t bytes)
{
    char human[64];
    format_memory_human(human, bytes);
    size_field(out, name, bytes);
    info_field(out, "%s_human:%s", name, human);
}

static void gap_fields(struct outq *out, const char *name, size_t outer, size_t inner)
{
    info_field(out, "%s_ratio:%.2f", name, ratio(outer, inner));
    info_field(out, "%s_bytes:%lld", name, (long long)outer - (long long)inner);
}

static void script_fields(const struct core *core, struct outq *out)
{
    struct script_usage u = {0};
    core->script_host->usage(core, &u);
    size_field_human(out, "used_memory_lua", u.eval_machine_bytes);
    size_field(out, "used_memory_vm_eval", u.eval_machine_bytes);
    size_field(out, "used_memory_scripts_eval", u.eval_text_bytes);
    size_field(out, "number_of_cached_scripts", u.cached_scripts);
    size_field(out, "number_of_functions", u.functions);
    size_field(out, "number_of_libraries", u.libraries);
    size_field(out, "used_memory_vm_functions", u.function_machine_bytes);
    size_field_human(out, "used_memory_vm_total", u.eval_machine_bytes + u.function_machine_bytes);
    size_field(out, "used_memory_functions", u.function_text_bytes);
    size_field_human(out, "used_memory_scripts", u.eval_text_bytes + u.function_text_bytes);
}

static void policy_pair(void *context, struct bytes name, struct bytes value)
{
    (void)name;
    info_field(context, "maxmemory_policy:%.*s", (int)value.len, (const char *)value.ptr);
}

static void limit_fields(const struct core *core, struct outq *out)
{
    size_field_human(out, "maxmemory", core->settings->keyspace.maxmemory_bytes);
    config_get(core->config, 1, &BYTES("maxmemory-policy"), &(struct config_get_sink){policy_pair, out});
}

static void fragmentation_fields(const struct usage *u, struct outq *out)
{
    gap_fields(out, "allocator_frag", u->allocator.active, u->allocator.allocated);
    gap_fields(out, "allocator_rss", u->allocator.resident, u->allocator.active);
    gap_fields(out, "rss_overhead", u->resident, u->allocator.resident);
    gap_fields(out, "mem_fragmentation", u->resident, u->used);
}

void info_memory(struct core *core, struct outq *out)
{
    struct usage u = measure(core);
    struct keyspace_stats *keys = keyspace_stats(core->keyspace);
    size_field_human(out, "used_memory", u.used);
    size_field_human(out, "used_memory_rss", u.resident);
    size_field_human(out, "used_memory_peak", u.peak);
    info_field(out, "used_memory_peak_perc:%.2f%%", ratio(u.used, u.peak) * 100);
    size_field(out, "used_memory_overhead", u.overhead);
    size_field(out, "used_memory_startup", u.at_start);
    size_field(out, "used_memory_dataset", u.dataset);
    info_field(out, "used_memory_dataset_perc:%.2f%%", ratio(u.dataset, u.used - u.at_start) * 100);
    size_field(out, "allocator_allocated", u.allocator.allocated);
    size_field(out, "allocator_active", u.allocator.active);
    size_field(out, "allocator_resident", u.allocator.resident);
    size_field_human(out, "total_system_memory", (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    script_fields(core, out);
    limit_fields(core, out);
    fragmentation_fields(&u, out);
    size_field(out, "mem_not_counted_for_evict", memory_limit_not_counted(core));
    size_field(out, "mem_replication_backlog", u.shared - u.for_replicas);
    size_field(out, "mem_total_replication_buffers", u.shared);
    size_field(out, "mem_clients_slaves", u.for_replicas + u.replica_clients);
    size_field(out, "mem_clients_normal", u.clients);
    size_field(out, "mem_cluster_links", 0);
    size_field(out, "mem_aof_buffer", 0);
    info_field(out, "mem_allocator:%s", mem_allocator_name());
    size_field(out, "active_defrag_running", 0);
    size_field(out, "lazyfree_pending_objects", keyspace_lazyfree_pending());
    size_field(out, "lazyfreed_objects", keys->lazyfreed);
}
