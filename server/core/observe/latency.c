/* See latency.h. Server process. */
#include "server/core/observe/latency.h"

#include "server/base/alloc.h"

#include <string.h>

struct latency_monitor {
    int64_t threshold_ms;
    struct latency_series *series[LATENCY_EVENTS];
};

static const char *const names[LATENCY_EVENTS] = {
    [LATENCY_COMMAND] = "command",
    [LATENCY_FAST_COMMAND] = "fast-command",
    [LATENCY_FORK] = "fork",
    [LATENCY_RDB_UNLINK] = "rdb-unlink-temp-file",
    [LATENCY_EXPIRE_CYCLE] = "expire-cycle",
    [LATENCY_EXPIRE_DEL] = "expire-del",
    [LATENCY_EVICTION_CYCLE] = "eviction-cycle",
    [LATENCY_EVICTION_DEL] = "eviction-del",
    [LATENCY_WHILE_BLOCKED_CRON] = "while-blocked-cron",
    [LATENCY_AOF_WRITE] = "aof-write",
    [LATENCY_AOF_WRITE_PENDING_FSYNC] = "aof-write-pending-fsync",
    [LATENCY_AOF_WRITE_ACTIVE_CHILD] = "aof-write-active-child",
    [LATENCY_AOF_WRITE_ALONE] = "aof-write-alone",
    [LATENCY_AOF_FSYNC_ALWAYS] = "aof-fsync-always",
    [LATENCY_AOF_FSTAT] = "aof-fstat",
    [LATENCY_AOF_RENAME] = "aof-rename",
    [LATENCY_AOF_REWRITE_DIFF_WRITE] = "aof-rewrite-diff-write",
};

struct latency_monitor *latency_monitor_new(void)
{
    return mem_calloc(1, sizeof(struct latency_monitor));
}

void latency_set_threshold_ms(struct latency_monitor *m, int64_t ms)
{
    m->threshold_ms = ms;
}

bool latency_is_on(const struct latency_monitor *m)
{
    return m->threshold_ms > 0;
}

static void add_sample(struct latency_series *s, uint32_t ms, int64_t at_s)
{
    struct latency_sample *last = &s->samples[(s->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
    if (ms > s->max_ms) s->max_ms = ms;
    if (s->count && last->at_s == at_s) {
        if (ms > last->ms) last->ms = ms;
        return;
    }
    s->samples[s->next] = (struct latency_sample){at_s, ms};
    s->next = (s->next + 1) % LATENCY_SAMPLES;
    if (s->count < LATENCY_SAMPLES) s->count++;
}

void latency_note(struct latency_monitor *m, enum latency_event event, int64_t took_us, int64_t at_s)
{
    int64_t ms = took_us / 1000;
    if (!latency_is_on(m) || ms < m->threshold_ms) return;
    if (!m->series[event]) m->series[event] = mem_calloc(1, sizeof **m->series);
    add_sample(m->series[event], ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX, at_s);
}

bool latency_reset(struct latency_monitor *m, enum latency_event event)
{
    bool any = m->series[event];
    mem_free(m->series[event]);
    m->series[event] = NULL;
    return any;
}

const char *latency_event_name(enum latency_event event)
{
    return names[event];
}

enum latency_event latency_event_by_name(struct bytes name)
{
    enum latency_event e = 0;
    while (e < LATENCY_EVENTS && !bytes_equal_text(name, names[e])) e++;
    return e;
}

const struct latency_series *latency_series(const struct latency_monitor *m, enum latency_event event)
{
    return m->series[event];
}

struct latency_summary latency_summarize(const struct latency_series *s, int64_t now_s)
{
    struct latency_summary sum = {.spikes = s->count, .least_ms = UINT32_MAX};
    uint64_t total = 0, deviation = 0;
    for (unsigned i = 0; i < s->count; i++) {
        uint32_t ms = latency_sample(s, i)->ms;
        if (ms < sum.least_ms) sum.least_ms = ms;
        if (ms > sum.most_ms) sum.most_ms = ms;
        total += ms;
    }
    sum.average_ms = (uint32_t)(total / s->count);
    for (unsigned i = 0; i < s->count; i++) {
        uint32_t ms = latency_sample(s, i)->ms;
        deviation += ms > sum.average_ms ? ms - sum.average_ms : sum.average_ms - ms;
    }
    sum.mean_deviation_ms = (uint32_t)(deviation / s->count);
    int64_t span_s = now_s - latency_sample(s, 0)->at_s;
    sum.period_s = (double)(span_s > 0 ? span_s : 1) / s->count;
    return sum;
}
