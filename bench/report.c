/* The benchmark's output: medians of samples, rows, verdicts against targets. */
#include "bench/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int missed;

void samples_add(struct samples *s, double value)
{
    if (s->count < (int)(sizeof s->values / sizeof *s->values)) s->values[s->count++] = value;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double samples_median(const struct samples *s)
{
    struct samples sorted = *s;
    if (!s->count) return 0;
    qsort(sorted.values, sorted.count, sizeof *sorted.values, by_size);
    int middle = sorted.count / 2;
    return sorted.count % 2 ? sorted.values[middle] : (sorted.values[middle - 1] + sorted.values[middle]) / 2;
}

void report_title(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("\n");
    vprintf(format, args);
    printf("\n%-44s %-9s %10s %10s %7s  target\n", "", "", "ours", "Redis", "ratio");
    va_end(args);
    fflush(stdout);
}

static void row(const char *what, const char *unit, double ours, double redis)
{
    printf("%-44s %-9s %10.2f %10.2f", what, unit, ours, redis);
    if (redis > 0)
        printf(" %7.3f", ours / redis);
    else
        printf(" %7s", "-");
}

static void verdict(const char *of, double value, double at_most)
{
    if (at_most > 0) {
        printf("  %s <= %.2f: %s", of, at_most, value <= at_most ? "pass" : "MISSED");
        missed += value > at_most;
    }
    printf("\n");
    fflush(stdout);
}

void report_ratio(const char *what, const char *unit, double ours, double redis, double ratio_at_most)
{
    row(what, unit, ours, redis);
    verdict("ratio", redis > 0 ? ours / redis : 1e9, ratio_at_most);
}

void report_bound(const char *what, const char *unit, double ours, double redis, double ours_at_most)
{
    row(what, unit, ours, redis);
    verdict("ours", ours, ours_at_most);
}

int report_missed(void)
{
    return missed;
}
