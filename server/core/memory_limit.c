/* The memory limit, in the server process. The keyspace knows how to evict; here is when. */
#include "server/core/memory_limit.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/core/core.h"
#include "server/core/propagate.h"
#include "server/core/settings.h"
#include "server/net/loop.h"

size_t memory_limit_counted(const struct core *core)
{
    (void)core; /* the backlog is shared memory and never was in mem_used() */
    return mem_used();
}

const char *memory_limit_refusal(struct core *core, uint32_t flags)
{
    const struct keyspace_settings *ks = &core->settings->keyspace;
    size_t used = memory_limit_counted(core);
    if (used <= ks->maxmemory_bytes) return NULL;
    if (replication_is_replica(core->replication) && ks->replica_ignore_maxmemory) return NULL;
    propagate_begin(core->propagation);
    int result = keyspace_evict(core->keyspace, loop_wall_ms(core->loop), used);
    propagate_end(core->propagation);
    if (result >= 0 || !(flags & CMD_DENYOOM)) return NULL;
    return "OOM command not allowed when used memory > 'maxmemory'.";
}
