/* Latencies in buckets of equal relative width: HdrHistogram's layout (Gil Tene, hdrhistogram.org, given to the public
 * domain), for Debian 12 has no C library of it. A value is off by less than one percent, whatever its size. */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>

/* 128 buckets for each power of two, and as many again for what is below 256; up to 2^42 ns, more than an hour. */
#define HISTOGRAM_HALF    128
#define HISTOGRAM_BUCKETS (HISTOGRAM_HALF * 36)
#define HISTOGRAM_MAX     ((1ull << 42) - 1)

struct histogram {
    uint64_t total, min, max;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t value)
{
    unsigned shift = 56u - (unsigned)__builtin_clzll(value | (2 * HISTOGRAM_HALF - 1));
    return shift * HISTOGRAM_HALF + (unsigned)(value >> shift);
}

static inline void histogram_record_many(struct histogram *h, uint64_t value, uint64_t times)
{
    if (value > HISTOGRAM_MAX) value = HISTOGRAM_MAX;
    if (!h->total || value < h->min) h->min = value;
    if (value > h->max) h->max = value;
    h->total += times;
    h->counts[histogram_bucket(value)] += times;
}

static inline void histogram_record(struct histogram *h, uint64_t value)
{
    histogram_record_many(h, value, 1);
}

void histogram_add(struct histogram *to, const struct histogram *from);
/* The value that so many percent of all do not pass, as the upper end of its bucket, never above the largest one
 * recorded; 0 when nothing was recorded. */
uint64_t histogram_percentile(const struct histogram *h, double percent);

#endif
