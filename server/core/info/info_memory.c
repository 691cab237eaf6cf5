/* INFO memory. Server process.
 *
 * Records live in a store that is mapped, not allocated, and the replication backlog in shared memory; both are added
 * to the allocator's figures, so that ratios between them keep the meaning they have where everything is allocated.
 * The virtual machines of scripts are not in the used memory, as in Redis. */
#include "server/core/info/info_parts.h"

#include "server/base/number.h"
#include "server/core/config/config.h"
#include "server/core/dataset/memory_limit.h"
#include "server/core/info/memory_usage.h"
#include "server/core/script_host.h"
#include "server/core/settings.h"
#include "server/keyspace/keyspace.h"

#include <stdio.h>
#include <unistd.h>

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
    info_field(out, "%s_ratio:%.2f", name, memory_ratio(outer, inner));
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

static void fragmentation_fields(const struct memory_usage *u, struct outq *out)
{
    gap_fields(out, "allocator_frag", u->allocator.active, u->allocator.allocated);
    gap_fields(out, "allocator_rss", u->allocator.resident, u->allocator.active);
    gap_fields(out, "rss_overhead", u->resident, u->allocator.resident);
    gap_fields(out, "mem_fragmentation", u->resident, u->used);
}

void info_memory(struct core *core, struct outq *out)
{
    struct memory_usage u = memory_usage(core);
    struct keyspace_stats *keys = keyspace_stats(core->keyspace);
    size_field_human(out, "used_memory", u.used);
    size_field_human(out, "used_memory_rss", u.resident);
    size_field_human(out, "used_memory_peak", u.peak);
    info_field(out, "used_memory_peak_perc:%.2f%%", memory_ratio(u.used, u.peak) * 100);
    size_field(out, "used_memory_overhead", u.overhead);
    size_field(out, "used_memory_startup", u.at_start);
    size_field(out, "used_memory_dataset", u.dataset);
    info_field(out, "used_memory_dataset_perc:%.2f%%", memory_ratio(u.dataset, u.used - u.at_start) * 100);
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
