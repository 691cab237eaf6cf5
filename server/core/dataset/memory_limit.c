/* The memory limit, in the server process. The keyspace knows how to evict; here is when. */
#include "server/core/dataset/memory_limit.h"

#include "repl/replication.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/outq.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/observe/latency.h"
#include "server/core/settings.h"
#include "server/keyspace/free_aside.h"
#include "server/net/loop.h"

size_t memory_limit_not_counted(const struct core *core)
{
    return replication_memory(core->replication).replicas;
}

void memory_limit_told(struct core *core, size_t bytes)
{
    core->stats->told_bytes[0] += bytes;
}

void memory_limit_turn_ends(struct core *core)
{
    core->stats->told_bytes[1] = core->stats->told_bytes[0];
    core->stats->told_bytes[0] = 0;
}

void memory_limit_leaves(struct core *core, size_t bytes)
{
    core->stats->leaving_bytes += bytes;
}

void memory_limit_has_left(struct core *core, size_t bytes)
{
    core->stats->leaving_bytes -= bytes;
}

/* What is on its way out is gone already: it must not cost a second victim. What is promised is asked first, so that an
 * error is on the side of fewer victims. The answer of the command to come has no room yet, and will have it when INFO
 * is asked: used_memory is to stay below the limit. */
static size_t counted(const struct core *core)
{
    const struct stats *s = core->stats;
    size_t left_out =
        free_aside_bytes() + memory_limit_not_counted(core) + s->told_bytes[0] + s->told_bytes[1] + s->leaving_bytes;
    size_t used = mem_used() + OUTQ_CHUNK_BYTES;
    return used > left_out ? used - left_out : 0;
}

/* --- how long the limit was exceeded --- */

static void note_exceeded(struct core *core, bool exceeded)
{
    struct stats *s = core->stats;
    if (likely(exceeded == (s->exceeded_since_us != 0))) return;
    int64_t now_us = clock_monotonic_us();
    if (!exceeded) s->exceeded_us += (uint64_t)(now_us - s->exceeded_since_us);
    s->exceeded_since_us = exceeded ? now_us : 0;
}

uint64_t memory_limit_exceeded_us(const struct core *core, uint64_t *current_us)
{
    const struct stats *s = core->stats;
    *current_us = s->exceeded_since_us ? (uint64_t)(clock_monotonic_us() - s->exceeded_since_us) : 0;
    return s->exceeded_us + *current_us;
}

/* --- making room --- */

/* As keyspace_evict. */
static int evict(struct core *core)
{
    const struct keyspace_settings *ks = &core->settings->keyspace;
    size_t used = counted(core);
    if (used <= ks->maxmemory_bytes || !ks->maxmemory_bytes) return 0;
    if (replication_is_replica(core->replication) && ks->replica_ignore_maxmemory) return 0;
    int64_t began_us = latency_is_on(core->latency) ? clock_monotonic_us() : 0;
    int result = keyspace_evict(core->keyspace, loop_monotonic_ms(core->loop), used);
    if (began_us)
        latency_note(core->latency, LATENCY_EVICTION_CYCLE, clock_monotonic_us() - began_us, clock_wall_us() / 1000000);
    return result;
}

static bool has_room_for_records(struct core *core)
{
    if (!keyspace_pressed()) return true;
    return keyspace_relieve_stores(core->keyspace, loop_monotonic_ms(core->loop)) >= 0;
}

static int make_room(struct core *core)
{
    int result = evict(core);
    note_exceeded(core, result != 0);
    return result;
}

const char *memory_limit_refusal(struct core *core, bool takes_memory)
{
    bool limited = core->settings->keyspace.maxmemory_bytes > 0;
    if (limited && make_room(core) < 0 && takes_memory)
        return "OOM command not allowed when used memory > 'maxmemory'.";
    if (!has_room_for_records(core) && takes_memory)
        return "OOM command not allowed: a database holds as many records as it can.";
    return NULL;
}

/* Other work comes in between, as often as one call's time is over. */
static int64_t make_more_room(void *arg)
{
    return make_room(arg) == 1 ? 0 : LOOP_TIMER_DONE;
}

void memory_limit_changed(struct core *core)
{
    loop_timer_start(core->loop, 0, make_more_room, core);
}
