/* The latency monitor: what took longer than `latency-monitor-threshold`, by kind. Pure: those who do the work say how
 * long it took, and when.
 *
 * A series keeps the worst of each of its last LATENCY_SAMPLES seconds with a sample, as LATENCY HISTORY documents. */
#ifndef SLIPSTREAM_CORE_OBSERVE_LATENCY_H
#define SLIPSTREAM_CORE_OBSERVE_LATENCY_H

#include "server/base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define LATENCY_SAMPLES 160

/* The events that Redis's documentation names, as LATENCY LATEST lists them. */
enum latency_event {
    LATENCY_COMMAND,      /* a command */
    LATENCY_FAST_COMMAND, /* one that takes constant or logarithmic time: CMD_FAST */
    LATENCY_FORK,
    LATENCY_RDB_UNLINK, /* the unfinished file of a snapshot child that was killed */
    LATENCY_EXPIRE_CYCLE,
    LATENCY_EXPIRE_DEL, /* one key of such a cycle, or met by a command */
    LATENCY_EVICTION_CYCLE,
    LATENCY_EVICTION_DEL,
    LATENCY_WHILE_BLOCKED_CRON, /* the clockwork's work while a dataset is loaded or a script runs */
    LATENCY_AOF_WRITE,          /* any of the next three */
    LATENCY_AOF_WRITE_PENDING_FSYNC,
    LATENCY_AOF_WRITE_ACTIVE_CHILD,
    LATENCY_AOF_WRITE_ALONE,
    LATENCY_AOF_FSYNC_ALWAYS,
    LATENCY_AOF_FSTAT,
    LATENCY_AOF_RENAME,
    LATENCY_AOF_REWRITE_DIFF_WRITE,
    LATENCY_EVENTS
};

struct latency_sample {
    int64_t at_s; /* since the epoch */
    uint32_t ms;
};

struct latency_series {
    struct latency_sample samples[LATENCY_SAMPLES]; /* a ring; `next` is where the oldest goes once it is full */
    unsigned count, next;
    uint32_t max_ms; /* since the last reset, whether its sample is still here or not */
};

struct latency_monitor;

struct latency_monitor *latency_monitor_new(void);
void latency_set_threshold_ms(struct latency_monitor *m, int64_t ms); /* 0: nothing is noted */
bool latency_is_on(const struct latency_monitor *m);                  /* whether it is worth taking the time */
/* Notes an event, if it took as long as the threshold. at_s: now, since the epoch. */
void latency_note(struct latency_monitor *m, enum latency_event event, int64_t took_us, int64_t at_s);
/* Forgets a kind; false: there was nothing. */
bool latency_reset(struct latency_monitor *m, enum latency_event event);

const char *latency_event_name(enum latency_event event);
enum latency_event latency_event_by_name(struct bytes name); /* LATENCY_EVENTS: none has it */
/* NULL: nothing noted since the last reset. */
const struct latency_series *latency_series(const struct latency_monitor *m, enum latency_event event);

/* The i-th of the series, oldest first. */
static inline const struct latency_sample *latency_sample(const struct latency_series *s, unsigned i)
{
    return &s->samples[(s->next + LATENCY_SAMPLES - s->count + i) % LATENCY_SAMPLES];
}

/* What a series comes down to; it has a sample at least. */
struct latency_summary {
    unsigned spikes;
    uint32_t least_ms, most_ms, average_ms, mean_deviation_ms;
    double period_s; /* between two spikes */
};
struct latency_summary latency_summarize(const struct latency_series *s, int64_t now_s);

#endif
