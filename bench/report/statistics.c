/* See statistics.h. */
#include "bench/report/statistics.h"

#include "server/base/random.h"

#include <math.h>
#include <stdlib.h>

#define RESAMPLES 2000
#define SEED      1

void samples_add(struct samples *s, double value)
{
    if (s->count < SAMPLES_MAX) s->values[s->count++] = value;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between two neighbours, as far as the share says. */
static double quantile(const double *sorted, int count, double share)
{
    double place = share * (count - 1);
    int below = (int)place, above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

struct summary samples_summary(const struct samples *s)
{
    struct samples sorted = *s;
    int n = s->count;
    if (!n) return (struct summary){NAN, NAN, NAN, NAN, NAN};
    qsort(sorted.values, (size_t)n, sizeof *sorted.values, by_size);
    return (struct summary){sorted.values[0], quantile(sorted.values, n, 0.25), quantile(sorted.values, n, 0.5),
                            quantile(sorted.values, n, 0.75), sorted.values[n - 1]};
}

static double resampled_median(const struct samples *s, struct random_state *random)
{
    struct samples drawn = {.count = s->count};
    for (int i = 0; i < s->count; i++) drawn.values[i] = s->values[random_below(random, (uint64_t)s->count)];
    return samples_summary(&drawn).median;
}

struct interval samples_ratio(const struct samples *a, const struct samples *b)
{
    static double ratios[RESAMPLES];
    struct random_state random;
    if (a->count < 3 || b->count < 3 || samples_summary(b).median == 0) return (struct interval){NAN, NAN};
    random_seed(&random, SEED);
    for (int i = 0; i < RESAMPLES; i++) {
        double of_a = resampled_median(a, &random), of_b = resampled_median(b, &random);
        ratios[i] = of_a / of_b;
    }
    qsort(ratios, RESAMPLES, sizeof *ratios, by_size);
    return (struct interval){quantile(ratios, RESAMPLES, 0.025), quantile(ratios, RESAMPLES, 0.975)};
}
