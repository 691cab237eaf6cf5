/* See histogram.h. */
#include "bench/load/histogram.h"

#include <math.h>

/* Below 256 a bucket is one value; above, `shift` bits are lost. */
static uint64_t low_end(unsigned bucket, unsigned *shift)
{
    *shift = bucket < 2 * HISTOGRAM_HALF ? 0 : bucket / HISTOGRAM_HALF - 1;
    return (uint64_t)(bucket - *shift * HISTOGRAM_HALF) << *shift;
}

void histogram_add(struct histogram *to, const struct histogram *from)
{
    if (!from->total) return;
    if (!to->total || from->min < to->min) to->min = from->min;
    if (from->max > to->max) to->max = from->max;
    to->total += from->total;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) to->counts[i] += from->counts[i];
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
    if (!h->total) return 0;
    double wanted = ceil(percent / 100 * (double)h->total);
    uint64_t rank = wanted < 1 ? 1 : (uint64_t)wanted, seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen < rank) continue;
        unsigned shift;
        uint64_t low = low_end(i, &shift), high = low + (1ull << shift) - 1;
        return high > h->max ? h->max : high < h->min ? h->min : high;
    }
    return h->max;
}
