/* See keys.h. Zipf's numbers come from rejection-inversion (Hörmann and Derflinger, "Rejection-inversion to generate
 * variates from monotone discrete distributions", 1996): exact for any exponent above 0 and any count,
 * without a table. */
#include "bench/load/keys.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double fraction(struct random_state *r)
{
    return (double)(random_u64(r) >> 11) * 0x1p-53;
}

/* The density's integral, x^(1-s)/(1-s) shifted so that it is 0 at 1; ln x for s = 1. */
static double integral(const struct keys *k, double x)
{
    double t = (1 - k->exponent) * log(x);
    return fabs(t) > 1e-8 ? expm1(t) / t * log(x) : log(x) * (1 + t / 2);
}

static double integral_inverse(const struct keys *k, double y)
{
    double t = y * (1 - k->exponent);
    if (t < -1) t = -1; /* rounding */
    return exp(fabs(t) > 1e-8 ? log1p(t) / t * y : y * (1 - t / 2));
}

static double density(const struct keys *k, double x)
{
    return exp(-k->exponent * log(x));
}

int keys_parse(struct keys *k, const char *text, uint64_t count)
{
    double hot_keys;
    int end = 0;
    *k = (struct keys){.count = count};
    if (!count) return -1;
    if (strcmp(text, "uniform") == 0) return 0;
    if (sscanf(text, "zipf:%lf%n", &k->exponent, &end) == 1 && !text[end] && k->exponent > 0 && k->exponent <= 10) {
        k->distribution = KEYS_ZIPF;
        k->integral_first = integral(k, 1.5) - 1;
        k->integral_last = integral(k, (double)count + 0.5);
        k->margin = 2 - integral_inverse(k, integral(k, 2.5) - density(k, 2));
        return 0;
    }
    if (sscanf(text, "hot:%lf:%lf%n", &hot_keys, &k->hot_share, &end) == 2 && !text[end] && hot_keys > 0 &&
        hot_keys < 1 && k->hot_share >= 0 && k->hot_share <= 1) {
        k->distribution = KEYS_HOT;
        k->hot = (uint64_t)(hot_keys * (double)count);
        if (!k->hot) k->hot = 1;
        return 0;
    }
    return -1;
}

static uint64_t next_zipf(const struct keys *k, struct random_state *r)
{
    for (;;) {
        double u = k->integral_last + fraction(r) * (k->integral_first - k->integral_last);
        double x = integral_inverse(k, u), number = floor(x + 0.5);
        if (number < 1) number = 1;
        if (number > (double)k->count) number = (double)k->count;
        if (number - x <= k->margin || u >= integral(k, number + 0.5) - density(k, number)) return (uint64_t)number - 1;
    }
}

uint64_t keys_next(const struct keys *k, struct random_state *r)
{
    if (k->distribution == KEYS_ZIPF) return next_zipf(k, r);
    if (k->distribution == KEYS_UNIFORM || k->hot == k->count) return random_below(r, k->count);
    if (fraction(r) < k->hot_share) return random_below(r, k->hot);
    return k->hot + random_below(r, k->count - k->hot);
}
