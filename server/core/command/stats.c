/* The counters behind INFO stats, errorstats and latencystats. Server process.
 *
 * A latency histogram has fixed slots that widen by powers of two, so that counting is a shift and an increment and
 * nothing is ever rescaled: 256 slots of one nanosecond, then 128 for each doubling. */
#include "server/core/command/stats.h"

#include "server/base/alloc.h"
#include "server/base/clock.h"
#include "server/core/command/command_table.h"

#define LATENCY_FINE   256 /* values below have a slot of their own */
#define LATENCY_HALF   128 /* slots for each doubling above */
#define LATENCY_MAX_NS 1000000000ull

_Static_assert(LATENCY_FINE + 22 * LATENCY_HALF <= LATENCY_SLOTS, "a second needs 22 doublings above 256 ns");

/* Scripts raise errors with codes of their own making; past this many distinct ones the rest is counted together. */
#define ERROR_KINDS_MAX 128

void stats_count_error(struct stats *s, const char *prefix)
{
    s->total_error_replies++;
    struct bytes key = bytes_from_text(prefix);
    if (s->errors.count >= ERROR_KINDS_MAX && !map_get(&s->errors, key)) key = BYTES("OTHER");
    void **slot = map_slot(&s->errors, key);
    *slot = (void *)((uintptr_t)*slot + 1);
}

void stats_sample(struct stats_rate *rate, uint64_t value, int64_t now_us)
{
    int64_t passed_us = now_us - rate->last_us;
    if (rate->last_us && passed_us > 0) {
        uint64_t grown = value > rate->last_value ? value - rate->last_value : 0; /* a reset sets counters back */
        rate->samples[rate->next] = (double)grown * 1e6 / (double)passed_us;
        rate->next = (rate->next + 1) % STATS_SAMPLES;
    }
    rate->last_value = value;
    rate->last_us = now_us;
}

double stats_rate_per_s(const struct stats_rate *rate)
{
    double sum = 0;
    for (int i = 0; i < STATS_SAMPLES; i++) sum += rate->samples[i];
    return sum / STATS_SAMPLES;
}

void stats_note_loop(struct stats *s, const struct loop *loop)
{
    struct loop_usage usage = loop_usage(loop);
    s->loop_turns += usage.turns - s->loop_noted.turns;
    s->loop_awake_us += usage.awake_us - s->loop_noted.awake_us;
    s->net_output_bytes += usage.bytes_sent - s->loop_noted.bytes_sent;
    s->total_reads += usage.reads - s->loop_noted.reads;
    s->total_writes += usage.writes - s->loop_noted.writes;
    s->loop_noted = usage;
}

void stats_reset(struct stats *s)
{
    map_clear(&s->errors);
    *s = (struct stats){
        .memory_at_start = s->memory_at_start,
        .exceeded_since_us = s->exceeded_since_us,
        .told_bytes = {s->told_bytes[0], s->told_bytes[1]},
        .leaving_bytes = s->leaving_bytes,
        .loop_noted = s->loop_noted,
    };
}

static unsigned latency_slot_raw(uint64_t ns)
{
    if (ns < LATENCY_FINE) return (unsigned)ns;
    unsigned doublings = (unsigned)(63 - __builtin_clzll(ns)) - 7;
    return LATENCY_FINE + (doublings - 1) * LATENCY_HALF + (unsigned)(ns >> doublings) - LATENCY_HALF;
}

static unsigned latency_slot(uint64_t ns)
{
    return latency_slot_raw(ns < LATENCY_MAX_NS ? ns : LATENCY_MAX_NS);
}

/* The highest value that falls into the slot: what a percentile reports, as HDR histograms do. */
static uint64_t latency_slot_end_ns(unsigned slot)
{
    if (slot < LATENCY_FINE) return slot;
    unsigned doublings = (slot - LATENCY_FINE) / LATENCY_HALF + 1;
    uint64_t step = (slot - LATENCY_FINE) % LATENCY_HALF + LATENCY_HALF;
    return ((step + 1) << doublings) - 1;
}

void stats_count_latency(struct command_entry *e, uint64_t ticks)
{
    if (__builtin_expect(!e->latency_us, 0)) e->latency_us = mem_calloc(LATENCY_SLOTS, sizeof *e->latency_us);
    e->latency_us[latency_slot(clock_ticks_to_ns(ticks))]++;
}

double stats_latency_percentile_us(const uint64_t histogram[LATENCY_SLOTS], double percentile)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < LATENCY_SLOTS; i++) total += histogram[i];
    uint64_t wanted = (uint64_t)(percentile / 100 * (double)total + 0.5), seen = 0;
    if (!wanted) wanted = 1;
    for (unsigned i = 0; i < LATENCY_SLOTS; i++) {
        seen += histogram[i];
        if (seen >= wanted) return (double)latency_slot_end_ns(i) / 1000;
    }
    return 0;
}

#define BUCKET_NS(bucket) (UINT64_C(1024) << (bucket))

/* A bucket ends where the slot of its nominal time does: the histogram knows no finer. */
uint64_t stats_latency_bucket_us(unsigned bucket)
{
    return latency_slot_end_ns(latency_slot_raw(BUCKET_NS(bucket))) / 1000;
}

void stats_latency_buckets(const uint64_t histogram[LATENCY_SLOTS], uint64_t upto[LATENCY_BUCKETS])
{
    uint64_t seen = 0;
    unsigned slot = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        unsigned last = latency_slot_raw(BUCKET_NS(i));
        for (; slot <= last && slot < LATENCY_SLOTS; slot++) seen += histogram[slot];
        upto[i] = seen;
    }
}

double stats_fork_gb_per_s(const struct stats *s)
{
    if (!s->latest_fork_us) return 0;
    return (double)s->latest_fork_bytes / (1024.0 * 1024 * 1024) * 1e6 / (double)s->latest_fork_us;
}
