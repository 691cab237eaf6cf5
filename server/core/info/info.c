/* INFO: which sections were asked for, in which order they stand. Server process. */
#include "server/core/info/info_parts.h"

#include "repl/replication.h"
#include "server/base/alloc.h"

static void info_replication(struct core *core, struct outq *out)
{
    replication_info(core->replication, out);
}

/* Redis lists loaded modules here; none can be loaded, but the section is part of every answer. */
static void info_modules(struct core *core, struct outq *out)
{
    (void)core, (void)out;
}

static const struct section {
    const char *name, *title;
    void (*write)(struct core *core, struct outq *out);
    bool on_demand; /* not part of the default set */
} sections[] = {
    {"server", "Server", info_server, false},
    {"clients", "Clients", info_clients, false},
    {"memory", "Memory", info_memory, false},
    {"persistence", "Persistence", info_persistence, false},
    {"threads", "Threads", info_threads, false},
    {"stats", "Stats", info_stats, false},
    {"replication", "Replication", info_replication, false},
    {"cpu", "CPU", info_cpu, false},
    {"modules", "Modules", info_modules, false},
    {"commandstats", "Commandstats", info_commandstats, true},
    {"errorstats", "Errorstats", info_errorstats, false},
    {"latencystats", "Latencystats", info_latencystats, true},
    {"cluster", "Cluster", info_cluster, false},
    {"keyspace", "Keyspace", info_keyspace, false},
    {"slipstream", "Slipstream", info_slipstream, false},
};

const char *info_section_name(size_t index)
{
    return index < sizeof sections / sizeof *sections ? sections[index].name : NULL;
}

static bool wanted(const struct section *s, uint32_t count, const struct bytes *names)
{
    if (!count) return !s->on_demand;
    for (uint32_t i = 0; i < count; i++) {
        if (bytes_equal_nocase(names[i], s->name)) return true;
        if (bytes_equal_nocase(names[i], "all") || bytes_equal_nocase(names[i], "everything")) return true;
        if (bytes_equal_nocase(names[i], "default") && !s->on_demand) return true;
    }
    return false;
}

void info_write(struct core *core, struct outq *out, uint32_t count, const struct bytes *names)
{
    bool first = true;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if (!wanted(&sections[i], count, names)) continue;
        info_field(out, "%s# %s", first ? "" : "\r\n", sections[i].title);
        sections[i].write(core, out);
        first = false;
    }
}
